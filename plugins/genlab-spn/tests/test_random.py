"""The tensorised network against one written node by node, and its training by gradient and by EM."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from spn_networks import BITS, GREYS, every_datum, random, some_data
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Observed, Support, UsageError
from genlab.randomness import generator
from genlab_spn import RandomSPN
from genlab_spn.families import Choice, Normal
from genlab_spn.regions import random_regions
from genlab_spn.tensorised import log_einsum_exp, pick

PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)
SPACE = DataSpec("space", "standardised", (5,), Support.REAL)


def reals(spec: DataSpec, n: int = 400) -> Tensor:
    stream = generator("reals", spec.name)
    centre = torch.randn(3, spec.size, generator=stream) * 2
    which = torch.randint(3, (n,), generator=stream)
    return centre[which] + 0.4 * torch.randn(n, spec.size, generator=stream)


# ------------------------------------------------------------------------------------------ structure


@pytest.mark.parametrize(("size", "depth"), [(1, 0), (2, 1), (7, 2), (16, 4), (69, 4)])
def test_leaf_regions_part_the_entries_evenly(size, depth):
    regions = random_regions(size, depth, 3, seed=0).view(3, 2**depth, -1)
    for repetition in regions:
        members = [row[row < size].tolist() for row in repetition]
        assert sorted(itertools.chain(*members)) == list(range(size))
        assert max(map(len, members)) - min(map(len, members)) <= 1


def test_the_seed_of_the_structure_decides_the_regions():
    a, b, c = (random_regions(20, 2, 2, seed) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a[:4], a[4:])  # repetitions differ


@pytest.mark.parametrize(("size", "depth"), [(1, 0), (2, 1), (4, 1), (16, 2), (69, 4), (784, 4)])
def test_depth_follows_the_size(size, depth):
    assert RandomSPN(DataSpec("x", "", (size,), Support.BINARY), repetitions=1).depth == depth


# ----------------------------------------------------------------------------------------- evaluation


def node_by_node(model: RandomSPN, x: list[float]) -> float:
    """log p of one datum in plain Python, in probabilities."""
    regions = [[d for d in row if d < model.spec.size] for row in model.members.tolist()]
    leaf, *levels, root = [theta.double() for theta in model.theta]
    p = []
    for region, theta in zip(regions, leaf, strict=True):
        each = theta.softmax(1)  # (S, L, K)
        own = [each[s, round(x[d] * (each.shape[1] - 1))] for s, d in enumerate(region)]
        p.append([math.prod(float(e[k]) for e in own) for k in range(each.shape[2])])
    for theta in levels:
        p = [sums(p[2 * r], p[2 * r + 1], w.softmax(0)) for r, w in enumerate(theta)]
    weights = root.flatten().softmax(0).tolist()
    return math.log(sum(w * q for w, q in zip(weights, itertools.chain(*p), strict=True)))


def sums(a: list[float], b: list[float], w: Tensor) -> list[float]:
    products = [i * j for i in a for j in b]
    return [
        sum(float(w[c, k]) * products[c] for c in range(len(products))) for k in range(w.shape[1])
    ]


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_it_is_the_network_node_by_node(spec, depth):
    model, x = random(spec, depth=min(depth, 2) if spec is GREYS else depth), some_data(spec)[:5]
    expected = torch.tensor([node_by_node(model, row.flatten().tolist()) for row in x])
    torch.testing.assert_close(model.log_prob(x), expected, atol=1e-5, rtol=0)


def test_gaussian_leaves_are_torch_normals():
    model, x = random(SPACE, depth=0, repetitions=1, leaves=1), reals(SPACE)
    m, log_excess = model.theta[0][0, :, :, 0].unbind(1)
    members = model.members[0]
    normal = torch.distributions.Normal(m, (1e-3 + log_excess.exp()).sqrt())
    expected = normal.log_prob(x[:, members]).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected, atol=1e-4, rtol=1e-5)


def test_the_variance_stays_above_its_floor():
    model = random(PLANE, depth=1, variance_floor=0.25)
    model.theta[0][:, :, 1] = -80.0
    normal = Normal(0.25)
    torch.testing.assert_close(
        normal._moments(model.theta[0])[1].min(), torch.tensor(0.25).double()
    )
    assert model.log_prob(reals(PLANE)).max() <= math.log(1 / (2 * math.pi * 0.25)) + 1e-5


def test_a_real_marginal_is_the_integral():
    model = random(PLANE, depth=1)
    axis = torch.arange(-4000, 4000) / 100
    grid = torch.stack([torch.full_like(axis, 0.7), axis], 1)
    integral = model.log_prob(grid).double().exp().sum() / 100
    mask = torch.tensor([[True, False]])
    marginal = model.log_marginal(Observed(torch.tensor([[0.7, 123.0]]), mask))
    assert marginal.exp().item() == pytest.approx(integral.item(), rel=1e-4)


def test_values_far_below_the_range_of_floats_are_summed():
    """The exponentials of these are zero in float32."""
    values = torch.tensor([[[-900.0, -905.0]], [[-1000.0, -1200.0]]])
    log_weight = torch.log_softmax(torch.arange(4.0), 0).view(1, 4, 1)
    terms = torch.tensor([-1900.0, -2100.0, -1905.0, -2105.0]) + log_weight.flatten()
    found = log_einsum_exp(values, log_weight).flatten()
    torch.testing.assert_close(found, terms.logsumexp(0, keepdim=True))


def test_what_has_no_probability_is_never_picked():
    terms = torch.tensor([-math.inf, 0.0, -math.inf]).expand(200_000, 3)
    assert bool((pick(terms, generator("pick")) == 1).all())


# ------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("spec", [BITS, GREYS, SPACE])
def test_gradients_are_finite_differences(spec):
    model = random(spec, depth=1, repetitions=2, sums=2, leaves=2)
    x = (reals(spec) if spec is SPACE else some_data(spec))[:8]
    model.requires_grad_(True)
    model.loss(Batch(x)).backward()
    for theta in model.theta:
        assert theta.grad is not None
        place = int(theta.grad.abs().argmax())
        both = []
        for h in (1e-2, -1e-2):
            with torch.no_grad():
                theta.view(-1)[place] += h
                both.append(model.loss(Batch(x)).double().item())
                theta.view(-1)[place] -= h
        slope = (both[0] - both[1]) / 2e-2
        assert theta.grad.view(-1)[place].item() == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("spec", [BITS, GREYS, SPACE])
def test_a_whole_em_step_never_lowers_the_likelihood(spec):
    model = random(spec, depth=2, em_step=1.0)
    x = reals(spec) if spec is SPACE else some_data(spec)
    path = []
    for _ in range(25):
        nll, targets = model.em_step_from(x)
        path.append(nll.item())
        for theta, target in zip(model.theta, targets, strict=True):
            theta.copy_(target)
    steps = torch.tensor(path).diff()
    assert steps.max() <= 1e-5, "the negative log-likelihood rose"
    assert path[0] - path[-1] > 1


def test_em_of_independent_entries_is_their_frequencies():
    model, x = random(depth=0, repetitions=1, leaves=1, em_step=1.0), some_data(BITS)
    _, (theta, *_) = model.em_step_from(x)
    frequency = theta[0].softmax(1)[:, 1, 0]
    torch.testing.assert_close(frequency, x.mean(0)[model.members[0]], atol=1e-6, rtol=0)


def test_em_of_one_gaussian_is_its_moments():
    model, x = random(SPACE, depth=0, repetitions=1, leaves=1, em_step=1.0), reals(SPACE)
    _, (theta, *_) = model.em_step_from(x)
    m, v = (moment[0, :, 0].float() for moment in Normal(1e-3)._moments(theta))
    own = x[:, model.members[0]]
    torch.testing.assert_close(m, own.mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(v, own.var(0, correction=0), atol=1e-4, rtol=1e-4)


def test_half_a_step_goes_half_way_in_probabilities():
    family, theta = Choice(3), torch.randn(4, 3, 2, generator=generator("half"))
    counts = torch.rand(4, 3, 2, generator=generator("counts")) * 7
    whole, half = (family.step(theta, counts, size).softmax(1) for size in (1.0, 0.5))
    torch.testing.assert_close(whole, counts / counts.sum(1, keepdim=True))
    torch.testing.assert_close(half, (whole + theta.softmax(1)) / 2)


def test_em_step_says_how_far_a_batch_moves_the_probabilities():
    x = some_data(BITS)[:80]
    whole, part = (random(depth=1, em_step=size) for size in (1.0, 0.25))
    (_, whole_to), (_, part_to) = whole.em_step_from(x), part.em_step_from(x)
    for theta, far, near in zip(whole.theta, whole_to, part_to, strict=True):
        before, after = theta.softmax(-2), far.softmax(-2)
        torch.testing.assert_close(near.softmax(-2), before.lerp(after, 0.25), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", [Choice(3), Normal(1e-3)])
def test_where_nothing_was_expected_nothing_moves(family):
    theta = torch.randn(2, family.params, 3, generator=generator("still"))
    nothing = torch.zeros_like(family.natural(theta))
    torch.testing.assert_close(family.step(theta, nothing, 1.0), theta - _shift(family, theta))


@pytest.mark.parametrize("family", [Choice(3), Normal(1e-3)])
def test_a_step_towards_hardly_anything_expected_leads_to_no_other_place(family):
    """Only the shares of what is expected say where to go, or where there is too little nothing does."""
    theta = torch.randn(2, family.params, 3, generator=generator("rare")).double()
    expected = family.mean(torch.randn(2, family.params, 3, generator=generator("to")).double())
    stays = family.step(theta, 0 * expected, 1.0)
    for weight in (1.0, 1e-6, 1e-11):
        found = family.step(theta, weight * expected, 1.0)
        torch.testing.assert_close(found, family.step(theta, expected, 1.0))
    for weight in (1e-13, 1e-20, 1e-40):
        torch.testing.assert_close(family.step(theta, weight * expected, 1.0), stays)


def _shift(family, theta: Tensor) -> Tensor:
    """Logits are the same up to a constant: those of a step are log-probabilities."""
    return theta.logsumexp(1, keepdim=True) if isinstance(family, Choice) else theta * 0


def test_descent_at_rate_one_goes_where_em_leads():
    model, x = random(depth=2, em_step=0.3, training="em"), some_data(BITS)[:50]
    model.requires_grad_(True)
    _, targets = model.em_step_from(x)
    (stage,) = model.stages()
    model.enter(stage)
    loss = stage.loss(Batch(x))
    assert loss.item() == pytest.approx(model.loss(Batch(x)).item(), abs=1e-5)
    loss.backward()
    assert stage.optimizer is not None
    stage.optimizer(model.parameters()).step()
    for theta, target in zip(model.theta, targets, strict=True):
        torch.testing.assert_close(theta.detach(), target, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 4}, "model.depth=4 must be between 0 and 3: 10 entries"),
        ({"depth": -1}, "model.depth=-1"),
        ({"sums": 0}, "model.sums=0 must be greater than 0"),
        ({"leaves": -2}, "model.leaves=-2"),
        ({"repetitions": 0}, "model.repetitions=0"),
        ({"em_step": 1.5}, "model.em_step=1.5 must be"),
        ({"variance_floor": 0.0}, "model.variance_floor=0"),
    ],
)
def test_options_that_make_no_network_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        RandomSPN(BITS, **options)


def test_every_state_of_a_trained_network_is_possible():
    assert random(depth=2).log_prob(every_datum(BITS)).isfinite().all()
