import math
from functools import partial

import pytest
import torch

from genlab.contracts import (
    Batch,
    DataSpec,
    Images,
    Measure,
    Plane,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.diffusion import DDIM, Denoiser, Dense, Diffusion, LogLinear
from genlab.models.diffusion.model import sum_terms
from genlab.models.diffusion.reverse import Moments
from genlab.nn.heads import Categorical
from genlab.nn.unet import UNet
from genlab.randomness import generator

BINARY = DataSpec("corners", "", (1, 2, 2), Support.BINARY)
SMALL = partial(Denoiser, network=partial(Dense, hidden=(64,)))


def bits_per_dim(nats: torch.Tensor) -> float:
    return nats.mean().item() / 64 / math.log(2)


def train(model: Diffusion, x: torch.Tensor, updates: int, lr: float = 5e-3) -> Diffusion:
    model.denoiser.begin(Batch(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(updates):
        optimizer.zero_grad()
        model.loss(Batch(x)).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def states():
    """All 16 data of four bits."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(16, 1, 2, 2)


@pytest.fixture(scope="module")
def skewed(states):
    """A model of a distribution far from uniform and from independence, after some training."""
    torch.manual_seed(0)
    counts = torch.tensor([90, 1, 2, 1, 1, 1, 30, 1, 2, 60, 1, 1, 1, 1, 1, 62])
    return train(
        Diffusion(BINARY, denoiser=SMALL, steps=30), states.repeat_interleave(counts, 0), 300
    )


# The bound


def test_the_bound_starts_at_the_independent_model(digits, digits_spec):
    train_x, _, test_x = digits
    head = Categorical(17)
    theta = head.marginal(train_x).expand(len(test_x), 1, 8, 8, 17)
    floor = bits_per_dim(-head.log_prob(test_x, theta).flatten(1).sum(1))
    assert floor == pytest.approx(2.431, abs=0.001)
    model = Diffusion(digits_spec, bound_steps=0)
    model.denoiser.begin(Batch(train_x))
    terms = model.bound(test_x, generator=generator("initial"))
    assert 2.43 < bits_per_dim(sum_terms(terms)) < 2.45
    assert bits_per_dim(sum_terms(terms)) - bits_per_dim(terms["prior"]) == pytest.approx(
        floor, abs=0.01
    )
    assert bits_per_dim(terms["prior"]) < 0.01
    assert bits_per_dim(terms["reconstruction"]) < 0.001


def test_the_bound_is_below_what_the_chain_draws(skewed, states):
    rounds = 400
    result = skewed.log_likelihood(states.repeat(rounds, 1, 1, 1), generator=generator("bound"))
    assert result.measure is Measure.MASS
    nats = result.nats.view(rounds, 16)
    bound, error = nats.mean(0), nats.std(0) / rounds**0.5
    n = 40_000
    draws = skewed.sample(n, generator=generator("draws")).flatten(1)
    code = (draws @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    p = torch.bincount(code, minlength=16) / n
    noise = 4 * (error + ((1 - p) / (p * n).clamp_min(1)).sqrt())
    assert (bound < p.log() + noise).all()
    assert 0.8 < bound.exp().sum().item() < 1
    assert p.max() > 0.2  # far from uniform


def test_visiting_some_steps_estimates_the_sum_over_all():
    """With a denoiser that says 0 the divergences do not depend on the noise, only on the steps."""

    class Silent(torch.nn.Module):
        def forward(self, z, log_snr):
            return Moments(torch.zeros_like(z), torch.zeros(()))

    model = Diffusion(
        DataSpec("one", "", (3,), Support.REAL), denoiser=lambda spec: Silent(), steps=20
    )
    x = torch.tensor([[0.5, -1.0, 2.0]]).expand(20_000, 3)
    whole = model.bound(x[:2], generator=generator("all"), steps=0)["diffusion"]
    assert whole[0] == whole[1]
    for steps in (1, 7, 20):
        some = model.bound(x, generator=generator("some"), steps=steps)["diffusion"]
        error = some.std().item() / len(x) ** 0.5
        assert some.mean().item() == pytest.approx(whole[0].item(), abs=4 * error + 1e-3)


@pytest.mark.parametrize("spec", [BINARY, DataSpec("plane", "", (2,), Support.REAL)])
def test_the_loss_is_an_unbiased_estimate_of_the_bound(spec):
    torch.manual_seed(0)
    x = (torch.randn(500, *spec.shape) > 0).float()
    model = train(Diffusion(spec, denoiser=SMALL, steps=10), x, 20)
    with torch.no_grad():
        losses = torch.stack([model.loss(Batch(x)) for _ in range(200)])
        bound = sum_terms(model.bound(x.repeat(20, *[1] * (x.dim() - 1)), generator=None, steps=0))
    error = (losses.var() / 200 + bound.var() / len(bound)).sqrt().item()
    assert losses.mean().item() == pytest.approx(bound.mean().item(), abs=4 * error)


def test_the_simple_loss_is_the_error_in_epsilon():
    """A network that says nothing, read as epsilon, is wrong by E ε² = 1."""
    spec = DataSpec("plane", "", (2,), Support.REAL)
    model = Diffusion(spec, denoiser=partial(Denoiser, predict="epsilon"), weighting="simple")
    torch.manual_seed(0)
    with torch.no_grad():
        assert model.loss(Batch(torch.randn(20_000, 2))).item() == pytest.approx(1.0, abs=0.04)


def test_terms_are_available_separately_and_sum_to_the_bound(skewed, states):
    result = skewed.log_likelihood(states, generator=generator("terms"))
    assert set(result.diagnostics) == {"prior", "diffusion", "reconstruction"}
    assert all(term.shape == (16,) for term in result.diagnostics.values())
    torch.testing.assert_close(-result.nats, sum_terms(result.diagnostics))


# The contract


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (BINARY, {}),
        (BINARY, {"predict": "epsilon"}),
        (DataSpec("levels", "", (1, 4, 4), Support.LEVELS, 5), {"network": UNet}),
        (DataSpec("plane", "", (2,), Support.REAL), {}),
    ],
)
def test_samples_lie_in_the_support_and_gradients_reach_every_parameter(spec, options):
    torch.manual_seed(0)
    model = Diffusion(spec, denoiser=partial(Denoiser, **options), steps=5)
    x = (torch.randn(20, *spec.shape) > 0).float()
    train(model, x, 2).loss(Batch(x)).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    for sampler in (None, DDIM(3)):
        *_, draws = model.denoise(7, sampler, generator=generator("support"))
        assert spec.contains(draws)


def test_the_default_random_state_is_neither_used_nor_changed(skewed, states):
    def everything():
        yield skewed.sample(5, generator=generator("a"))
        yield skewed.log_likelihood(states, generator=generator("b")).nats
        yield skewed.validate(Batch(states))["nll_bound"]
        for figure in skewed.figures(Batch(states), generator=generator("c")):
            yield figure.content.pixels

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(everything())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(first, everything(), strict=True))


def test_validation_sees_the_same_noise_every_time_and_is_the_bound(skewed, states):
    values = skewed.validate(Batch(states))
    assert list(values) == ["nll_bound"]
    assert values["nll_bound"].shape == (16,)
    noise = generator("diffusion", "validate")
    terms = skewed.bound(states, generator=noise, steps=skewed.val_steps)
    assert torch.equal(values["nll_bound"], sum_terms(terms))


def test_a_saved_model_is_the_same_model(skewed, states, tmp_path):
    torch.save(skewed.state_dict(), tmp_path / "model.ckpt")
    copy = Diffusion(BINARY, denoiser=SMALL, steps=30).eval()
    copy.load_state_dict(torch.load(tmp_path / "model.ckpt", weights_only=True))
    a, b = (m.log_likelihood(states, generator=generator("copy")).nats for m in (skewed, copy))
    assert torch.equal(a, b)


def test_the_stage_starts_from_the_marginals(skewed, states):
    (stage,) = skewed.stages()
    assert stage.module is skewed
    model = Diffusion(BINARY, denoiser=SMALL)
    model.stages()[0].begin(Batch(states[12:]))
    marginal = model.denoiser.prior.log_marginal.exp()
    torch.testing.assert_close(marginal[0, 0, 0], torch.tensor([0.1, 0.9]))


def test_figures_of_images(skewed, states):
    shown = list(skewed.figures(Batch(states), generator=generator("figures")))
    chain, one_step, interpolation, completions = shown
    assert chain.animated
    assert chain.content.pixels.shape == (8, 12, 1, 2, 2)
    assert BINARY.contains(chain.content.pixels[:, -1])
    assert one_step.content.pixels.shape == (16, 8, 1, 2, 2)
    assert interpolation.content.pixels.shape == (5, 8, 1, 2, 2)
    assert completions.content.pixels.shape == (3, 8, 1, 2, 2)
    for figure in shown:
        assert isinstance(figure.content, Images)
        assert 0 <= figure.content.pixels.min() <= figure.content.pixels.max() <= 1


def test_figures_of_points_in_the_plane():
    model = Diffusion(DataSpec("plane", "", (2,), Support.REAL), denoiser=SMALL, steps=3)
    chain, forgetting = model.figures(Batch(torch.ones(4000, 2)), generator=generator("figures"))
    assert isinstance(chain.content, Plane)
    assert chain.content.points.shape == (5, 1000, 2)  # no more frames than states
    assert chain.content.arrows is not None
    assert chain.content.arrows.shape == (5, 225, 2)
    assert isinstance(forgetting.content, Plane)
    points, origins, arrows = vars(forgetting.content).values()
    assert ((origins * arrows).sum(2) <= 0).all(), "noise takes points to the origin"
    for i in (0, 12, 24):  # N(α, σ²) in both coordinates
        log_snr = model.schedule(torch.tensor(i / 24, dtype=torch.float64))
        kept, spread = (log_snr.sigmoid().sqrt().item(), (-log_snr).sigmoid().sqrt().item())
        assert points[i].mean().item() == pytest.approx(kept, abs=0.05)
        assert points[i].std().item() == pytest.approx(spread if i else 0.0, abs=0.05)


def test_what_is_asked_wrongly_is_refused(skewed, states):
    with pytest.raises(UsageError, match="expected bound, simple"):
        Diffusion(BINARY, weighting="snr")
    with pytest.raises(UsageError, match="steps=0"):
        Diffusion(BINARY, steps=0)
    with pytest.raises(UsageError, match="bound_steps"):
        Diffusion(BINARY, bound_steps=-1)
    with pytest.raises(UsageError, match="eta=2"):
        DDIM(10, eta=2.0)
    with pytest.raises(UsageError, match="label"):
        skewed.sample(2, label=torch.zeros(2), generator=generator("label"))
    with pytest.raises(UsageError, match="label"):
        skewed.log_likelihood(states, label=torch.zeros(16), generator=generator("label"))


def test_ends_of_the_schedule_may_be_set(states):
    model = Diffusion(BINARY, schedule=partial(LogLinear, log_snr_max=4.0), denoiser=SMALL)
    assert (model.schedule.log_snr_max, model.schedule.log_snr_min) == (4.0, -6.0)


# ---------------------------------------------------------------------------------------------- labels


class Told(torch.nn.Module):
    """A network that says what it was told."""

    def __init__(self, shape, outputs, classes):
        super().__init__()
        self.classes, self.outputs = classes, outputs
        self.shift = torch.nn.Parameter(torch.zeros(()))

    def forward(self, z, u, label=None):
        label = torch.full((len(z),), self.classes) if label is None else label
        each = label.to(z.dtype).view(-1, *[1] * z.dim()).expand(*z.shape, self.outputs)
        return self.shift + each


LABELLED = DataSpec("labelled", "", (1, 2, 2), Support.LEVELS, 5, classes=3)


def told(**options) -> Diffusion:
    return Diffusion(LABELLED, denoiser=partial(Denoiser, network=Told), labels=True, **options)


def test_labels_reach_the_network_and_unknown_ones_are_a_class_of_their_own():
    model = told(steps=5)
    z, log_snr = torch.zeros(4, 1, 2, 2), torch.tensor(0.0)
    label = torch.tensor([0, 1, 2, 3])
    network = model.denoiser.network
    means = model.denoiser(z, log_snr, label).mean
    for i in range(4):
        network.shift.data.fill_(float(i) - 3)
        torch.testing.assert_close(means[i], model.denoiser(z, log_snr).mean[i])


def test_guidance_goes_from_the_unknown_label_through_the_known_one():
    """f_∅ = 3, f_label = 1: guidance 2 gives 3 + 2 (1 − 3) = −1."""
    model, z, log_snr = told(steps=5), torch.zeros(1, 1, 2, 2), torch.tensor(0.0)
    found = model.denoiser(z, log_snr, torch.tensor([1]), guidance=2.0).mean
    model.denoiser.network.shift.data.fill_(-4.0)
    torch.testing.assert_close(found, model.denoiser(z, log_snr).mean)


def test_a_share_of_the_labels_is_not_told():
    model = told(steps=5, label_dropout=0.3)
    batch = Batch(torch.zeros(10_000, 1, 2, 2), torch.ones(10_000, dtype=torch.int64), None)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        seen = model._some_labels(batch)
    assert (seen == 3).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert set(seen.tolist()) == {1, 3}


def test_the_bound_given_a_label_says_so():
    model = told(steps=5, bound_steps=0)
    x = torch.zeros(2, 1, 2, 2)
    given = model.log_likelihood(x, label=torch.tensor([0, 2]), generator=generator("bound"))
    without = model.log_likelihood(x, generator=generator("bound"))
    assert (given.given, without.given) == ("label", "")
    assert not torch.equal(given.nats, without.nats)


def test_labels_that_are_not_there_are_refused():
    spec = DataSpec("bare", "", (1, 2, 2), Support.LEVELS, 5)
    with pytest.raises(UnsupportedData, match="needs data with labels; bare has none"):
        Diffusion(spec, labels=True)
    with pytest.raises(UsageError, match="trained without labels"):
        Diffusion(LABELLED, steps=5).sample(1, label=torch.tensor([0]), generator=generator("x"))
    with pytest.raises(UsageError, match="guidance=2 goes with a label"):
        told(steps=5).sample_by(None, 1, guidance=2.0, generator=generator("x"))


@pytest.mark.parametrize("w", [math.nan, math.inf, -math.inf])
def test_guidance_that_is_no_number_is_refused(w):
    with pytest.raises(UsageError, match=f"guidance={w:g} must be a finite number"):
        told(steps=5).sample_by(
            None, 1, label=torch.tensor([0]), guidance=w, generator=generator("x")
        )


@pytest.mark.parametrize("network", [Dense, partial(UNet, channels=(8, 8))])
def test_networks_learn_what_labels_mean(network):
    model = Diffusion(LABELLED, denoiser=partial(Denoiser, network=network), labels=True, steps=5)
    x, label = torch.zeros(6, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    model.loss(Batch(x, label, None)).backward()
    embedding = model.denoiser.network.of_label.weight
    assert embedding.shape[0] == 4
    assert embedding.abs().sum() == 0
