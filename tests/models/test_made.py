"""MADE against enumeration, against the naive sampler and against its own negative controls."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from torch import Tensor

from genlab.contracts import (
    Batch,
    DataSpec,
    Guarantee,
    Measure,
    Observed,
    Plane,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.made import MADE
from genlab.models.made.sampling import draw_naively
from genlab.nn.heads import Categorical, GaussianMixture, LogisticMixture
from genlab.randomness import generator, scope

BITS = DataSpec("bits", "fixed", (1, 3, 3), Support.BINARY)
GREYS = DataSpec("greys", "5 levels", (1, 2, 2), Support.LEVELS, levels=5)
PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)
LOGISTIC = partial(LogisticMixture, components=3)
GAUSSIANS = partial(GaussianMixture, components=3)
VARIANTS = [
    pytest.param(BITS, {}, id="one mask"),
    pytest.param(BITS, {"hidden": (30, 20), "order": "random"}, id="two layers, random order"),
    pytest.param(BITS, {"masks": 4, "order": "random"}, id="mixture"),
    pytest.param(BITS, {"hidden": ()}, id="no hidden layer"),
    pytest.param(BITS, {"direct": False, "hidden": (30, 30)}, id="no direct connections"),
    pytest.param(GREYS, {"hidden": (40,)}, id="levels"),
    pytest.param(GREYS, {"masks": 3, "order": "random", "hidden": (20, 20)}, id="levels, mixture"),
    pytest.param(GREYS, {"head": LOGISTIC}, id="logistic mixtures"),
    pytest.param(DataSpec("one", "", (1,), Support.BINARY), {}, id="one dimension"),
    pytest.param(
        DataSpec("two", "", (2,), Support.BINARY), {"masks": 2, "order": "random"}, id="two"
    ),
]


def far_from_uniform(spec: DataSpec, **options) -> MADE:
    """A network with large random weights: its distribution is anything but flat."""
    with scope("far from uniform"):
        model = MADE(spec, **({"hidden": (25,)} | options))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=1.0)
    return model.eval()


def every_datum(spec: DataSpec) -> Tensor:
    levels = spec.levels or 2
    states = itertools.product(range(levels), repeat=spec.size)
    return torch.tensor(list(states)).float().div(levels - 1).view(-1, *spec.shape)


@pytest.mark.parametrize(("spec", "options"), VARIANTS)
def test_probabilities_sum_to_one(spec, options):
    model = far_from_uniform(spec, **options)
    result = model.log_likelihood(every_datum(spec), generator=generator("unused"))
    assert result.guarantee is Guarantee.EXACT
    assert result.nats.double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("spec", "options"), VARIANTS)
def test_logits_depend_on_earlier_dimensions_only(spec, options):
    model = far_from_uniform(spec, **options)
    x = torch.rand(1, spec.size)
    for k in range(model.network.orderings):
        jacobian = torch.autograd.functional.jacobian(lambda v, k=k: model.network(v, k)[0], x)
        reaches = jacobian.abs().sum(dim=(1, 2)) > 0  # (output dimension, input dimension)
        position = model.network.positions[k]
        later = position[None, :] >= position[:, None]
        assert not (reaches & later).any()
        if model.network.direct is not None:
            assert torch.equal(reaches, ~later), "an earlier dimension is not seen"


@pytest.mark.parametrize(("spec", "options"), VARIANTS)
def test_incremental_sampler_draws_what_the_naive_one_draws(spec, options):
    model = far_from_uniform(spec, **options)
    u = torch.rand(50, spec.size, generator=generator("uniforms"))
    for k in range(model.network.orderings):
        x, log_q = model._sampler(k).draw(u, model.scale, model.shift)
        naive = draw_naively(model.network, model.head, k, u, model.scale, model.shift)
        assert torch.equal(x, naive)
        log_p = model.log_prob(x.unflatten(1, spec.shape), k)
        torch.testing.assert_close(log_q, log_p, atol=1e-4, rtol=1e-5)


def test_completions_follow_the_conditional():
    model = far_from_uniform(BITS, particles=512)
    states = every_datum(BITS)
    known = torch.tensor([1.0, 0, 1, 1, 0, 0, 1, 0, 1]).view(1, 1, 3, 3)
    mask = torch.tensor([1, 0, 0, 1, 1, 0, 1, 0, 1]).bool().view(1, 1, 3, 3)
    draws = model.complete(Observed(known, mask), 4000, generator=generator("completions"))[:, 0]
    assert torch.equal(draws[mask.expand_as(draws)], known[mask].repeat(4000))
    p = model.log_likelihood(states, generator=generator("unused")).nats.exp().detach()
    p = p * ((states == known) | ~mask).flatten(1).all(1)
    p = p / p.sum()
    which = (draws.flatten(1).long() * 2 ** torch.arange(8, -1, -1)).sum(1)
    share = torch.bincount(which, minlength=512) / len(draws)
    assert (share - p).abs().sum() / 2 < 0.03


def test_averaged_logits_are_no_distribution():
    """The published mistake that the mixture avoids: averaging logits over orderings."""
    model = far_from_uniform(BITS, masks=4, order="random")
    states = every_datum(BITS)
    thetas = [model.network(states.flatten(1), k) for k in range(4)]
    averaged = model.head.log_prob(states.flatten(1), torch.stack(thetas).mean(0)).sum(1)
    assert abs(averaged.double().exp().sum().item() - 1) > 0.05


def test_mixture_is_the_mean_of_probabilities():
    model = far_from_uniform(BITS, masks=3, order="random")
    result = model.log_likelihood(every_datum(BITS), generator=generator("unused"))
    each = result.diagnostics["log p_k"]
    torch.testing.assert_close(result.nats.exp(), each.exp().mean(1))


def test_begin_makes_the_independent_model():
    model = MADE(GREYS)
    for parameter in (model.network.output, model.network.direct):
        torch.nn.init.zeros_(parameter)
    x = every_datum(GREYS)[:200]
    model.begin(Batch(x))
    theta = model.head.marginal(x).expand(len(x), *GREYS.shape, 5)
    expected = model.head.log_prob(x, theta).flatten(1).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected)


def test_training_uses_every_ordering():
    model = far_from_uniform(BITS, masks=3, order="random")
    with scope("which ordering"):
        seen = {round(model.loss(Batch(every_datum(BITS))).item(), 4) for _ in range(40)}
    assert len(seen) == 3


def test_orderings_travel_with_the_weights():
    first = MADE(BITS, order="random", mask_seed=1)
    second = MADE(BITS, order="random", mask_seed=2)
    second.load_state_dict(first.state_dict())
    x = every_datum(BITS)
    assert torch.equal(first.log_prob(x), second.log_prob(x))


# Reals


@pytest.mark.parametrize("options", [{}, {"masks": 3, "order": "random"}])
def test_the_density_of_reals_integrates_to_one(options):
    model = far_from_uniform(PLANE, head=GAUSSIANS, **options)
    with torch.no_grad():
        model.network.bias[:, 6:] = 0.0  # no component much narrower than the grid
        for weight in (model.network.output, model.network.direct):
            weight[:, 6:] *= 0.05
            weight[:, :6] *= 0.3
    axis = (torch.arange(400) + 0.5) * 0.1 - 20
    result = model.log_likelihood(torch.cartesian_prod(axis, axis), generator=generator("unused"))
    assert (result.guarantee, result.measure) == (Guarantee.EXACT, Measure.DENSITY)
    assert result.nats.double().exp().sum().item() * 0.01 == pytest.approx(1, abs=1e-3)


def test_incremental_sampler_draws_reals_as_the_naive_one_does():
    spec = DataSpec("reals", "", (6,), Support.REAL)
    model = far_from_uniform(spec, masks=2, order="random", hidden=(20, 20), head=GAUSSIANS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 0.3
    u = torch.rand(50, 6, generator=generator("uniforms"))
    for k in range(2):
        x, log_q = model._sampler(k).draw(u, model.scale, model.shift)
        naive = draw_naively(model.network, model.head, k, u, model.scale, model.shift)
        torch.testing.assert_close(x, naive, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(log_q, model.log_prob(x, k), atol=1e-3, rtol=1e-3)


def test_reals_are_completed_from_their_conditional():
    """x_1 given x_0 in natural order is a mixture whose moments θ says; and x_0 stays what it was."""
    model = far_from_uniform(PLANE, head=GAUSSIANS)
    known = torch.tensor([[0.7, 0.0]])
    mask = torch.tensor([[True, False]])
    draws = model.complete(Observed(known, mask), 4000, generator=generator("reals"))[:, 0]
    assert (draws[:, 0] == known[0, 0]).all()
    theta = model.network(known)[0, 1]
    expected = model.head.mean(theta[None])[0].item()
    error = draws[:, 1].std().item() / math.sqrt(4000)
    assert draws[:, 1].mean().item() == pytest.approx(expected, abs=4 * error)


def test_begin_on_reals_is_near_the_independent_gaussians():
    model = MADE(PLANE)
    for parameter in (model.network.output, model.network.direct):
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2000, 2, generator=generator("x"))
    model.begin(Batch(x))
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1).mean().item()
    assert model.log_prob(x).mean().item() == pytest.approx(normal, abs=0.1)


def test_the_plane_shows_its_conditionals():
    model = far_from_uniform(PLANE, particles=2)
    x = torch.randn(50, 2, generator=generator("x"))
    (figure,) = model.figures(Batch(x), generator=generator("figures"))
    assert isinstance(figure.content, Plane)
    first = figure.content.points[:, :, 0]
    assert (first == first[:, :1]).all()
    assert (first[1:, 0] > first[:-1, 0]).all()
    shape = DataSpec("tensor", "", (1, 4, 4), Support.REAL)
    assert not list(MADE(shape).figures(Batch(torch.zeros(2, 1, 4, 4)), generator=generator("a")))


# Heads and precision


def test_the_head_is_that_of_the_support_or_the_one_that_was_given():
    assert isinstance(MADE(GREYS).head, Categorical)
    assert isinstance(MADE(PLANE).head, GaussianMixture)
    assert MADE(GREYS, head=LOGISTIC).head.params == 9
    with pytest.raises(UnsupportedData, match="LEVELS data; plane is REAL"):
        MADE(PLANE, head=LOGISTIC)
    with pytest.raises(UnsupportedData, match="REAL data; bits is BINARY"):
        MADE(BITS, head=GAUSSIANS)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (BITS, {"masks": 3, "order": "random"}),
        (GREYS, {}),
        (GREYS, {"head": LOGISTIC}),
        (PLANE, {"head": GAUSSIANS}),
    ],
)
def test_half_precision_costs_no_more_than_its_products(spec, options):
    """bfloat16 keeps 8 bits of θ: an error of 1 % of θ or so, and none from logarithms and sums."""
    with scope("half"):
        model = MADE(spec, **options).eval()
    x = every_datum(spec)[::7] if spec.levels else torch.randn(64, 2, generator=generator("x"))
    exact = model.log_likelihood(x, generator=generator("unused")).nats
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.log_likelihood(x, generator=generator("unused")).nats
    assert half.dtype is torch.float32
    assert (half - exact).abs().max() < 0.03
    assert not torch.equal(half, half.bfloat16().float())


@pytest.mark.parametrize(
    "options", [{"masks": 0}, {"masks": 4}, {"dropout": 1.0}, {"hidden": (0,)}, {"particles": 0}]
)
def test_refuses_options_out_of_range(options):
    with pytest.raises(UsageError, match=rf"^(model\.)?{min(options)}="):
        MADE(BITS, **options)


def test_entropy_of_samples_is_the_mean_likelihood():
    """E[-log p] over the model's own samples is its entropy, known here by enumeration."""
    model = far_from_uniform(BITS)
    p = model.log_likelihood(every_datum(BITS), generator=generator("unused")).nats.double().exp()
    entropy = -(p * p.log()).sum().item()
    x = model.sample(20_000, generator=generator("samples"))
    nats = -model.log_likelihood(x, generator=generator("unused")).nats.double()
    assert abs(nats.mean().item() - entropy) < 4 * nats.std().item() / math.sqrt(len(x))
