"""The bound in continuous time, and ends of the schedule that it finds, where the answers are known."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Guarantee, Measure, Support, UsageError
from genlab.models.diffusion import (
    DDIM,
    Cosine,
    Denoiser,
    Dense,
    Diffusion,
    Heun,
    Learned,
    Linear,
    LogLinear,
)
from genlab.models.diffusion.bound import Discrete, sum_terms
from genlab.models.diffusion.times import even
from genlab.nn.heads import Categorical
from genlab.randomness import generator
from tests.models.diffusion.test_gaussian import Optimal

PLANE = DataSpec("gaussian", "", (2,), Support.REAL)
MEAN, VARIANCE = 0.5, 0.25
SMALL = partial(Denoiser, network=partial(Dense, hidden=(64,), dropout=0.0))


def optimal(schedule, variance="zero", **options) -> Diffusion:
    """With the mean of x given z for x ~ N(MEAN, VARIANCE)."""
    return Diffusion(
        PLANE, schedule=schedule, denoiser=lambda spec: Optimal(MEAN, VARIANCE, variance), **options
    )


def data(n: int) -> torch.Tensor:
    return MEAN + VARIANCE**0.5 * torch.randn(n, 2, generator=generator("data"))


def exact(high: float, low: float) -> float:
    """E(−bound) per entry: entropy, and what z_1 still and z_0 no longer knows of x."""
    entropy = math.log(2 * math.pi * math.e * VARIANCE) / 2
    kept = 1 / (1 + math.exp(-low))  # α² at t = 1
    second, variance = 1 - kept + kept * (VARIANCE + MEAN**2), 1 - kept + kept * VARIANCE
    prior = (second - 1 - math.log(variance)) / 2
    return entropy + prior + math.log1p(math.exp(-high) / VARIANCE) / 2


@pytest.mark.parametrize("schedule", [LogLinear, Linear, Cosine, Learned])
@pytest.mark.parametrize("ends", [(9.0, -6.0), (3.0, -1.0)])
def test_with_the_optimal_denoiser_only_the_ends_are_lost(schedule, ends):
    """I-MMSE: whatever the way between the ends."""
    model, x = optimal(partial(schedule, *ends), continuous=True), data(10_000)
    result = model.log_likelihood(x, generator=generator("bound"))
    assert (result.guarantee, result.measure) == (Guarantee.LOWER_BOUND, Measure.DENSITY)
    assert result.method == "variational bound, continuous time"
    entropy = math.log(2 * math.pi * math.e * VARIANCE) / 2
    own = ((x - MEAN).square() / VARIANCE).sum(1) / 2 + 2 * entropy - 1  # −log p(x)
    excess = (-result.nats - own) / 2  # less noisy than the bound itself
    error = excess.std().item() / len(excess) ** 0.5
    assert excess.mean().item() == pytest.approx(exact(*ends) - entropy, abs=4 * error + 1e-4)
    assert error < 0.03


@pytest.mark.parametrize("variance", ["zero", "normal"])
def test_it_is_the_limit_of_many_steps(variance):
    """Whatever variance the steps back have. Seen at the ends of steps, in the same noise for both."""
    gaps = []
    schedule = LogLinear(9.0, -6.0)
    model = optimal(partial(LogLinear, 9.0, -6.0), variance, continuous=True)
    signal = data(20_000)
    for steps in (30, 300, 3000):
        t = (even(len(signal), signal.device) * steps).ceil().clamp(min=1) / steps
        of_steps, limit = (
            time.cost(model.denoiser, schedule, signal, at, generator("limit"))
            for time, at in ((Discrete(steps), t - 0.5 / steps), (model.time, t))
        )
        gaps.append(abs((of_steps - limit).mean().item()))
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2]
    assert gaps[2] < 0.02


def test_the_loss_is_an_unbiased_estimate_of_the_bound():
    torch.manual_seed(0)
    model = Diffusion(PLANE, schedule=Learned, denoiser=SMALL, continuous=True)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    x = data(500)
    with torch.no_grad():
        losses = torch.stack([model.loss(Batch(x)) for _ in range(400)])
        bound = sum_terms(model.bound(x.repeat(20, 1), generator=generator("b"), steps=50))
    error = (losses.var() / 400 + bound.var() / len(bound)).sqrt().item()
    assert losses.mean().item() == pytest.approx(bound.mean().item(), abs=4 * error)
    assert error < 0.1


def test_on_digits_it_starts_at_the_independent_model(digits, digits_spec):
    train_x, _, test_x = digits
    head = Categorical(17)
    theta = head.marginal(train_x).expand(len(test_x), 1, 8, 8, 17)
    floor = -head.log_prob(test_x, theta).flatten(1).sum(1).mean().item()
    model = Diffusion(digits_spec, denoiser=SMALL, continuous=True).eval()
    model.denoiser.begin(Batch(train_x))
    terms = model.bound(test_x, generator=generator("initial"))
    nats = {name: term.mean().item() for name, term in terms.items()}
    assert sum(nats.values()) - nats["prior"] == pytest.approx(floor, abs=0.45)  # 0.01 bits/dim
    assert 2.43 < sum(nats.values()) / 64 / math.log(2) < 2.45


# Learned ends


def gradient_of_ends(model: Diffusion, x: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    torch.manual_seed(0)
    model.loss(Batch(x)).backward()
    return model.schedule.moved.grad


@pytest.mark.parametrize("options", [{"continuous": True}, {"steps": 200}])
@pytest.mark.parametrize("ends", [(2.0, 0.0), (3.0, -1.0)])
def test_the_gradient_of_the_ends_is_that_of_the_bound_in_closed_form(ends, options):
    model = optimal(partial(Learned, *ends), "true", **options)
    found = gradient_of_ends(model, data(400_000))
    step = 1e-4
    for i, (high, low) in enumerate([(step, 0), (0, step)]):
        there, here = (exact(ends[0] + s * high, ends[1] + s * low) for s in (1, -1))
        assert found[i].item() == pytest.approx(2 * (there - here) / (2 * step), abs=0.02)


def test_training_moves_the_ends_to_where_less_is_lost():
    torch.manual_seed(0)
    model = optimal(partial(Learned, 2.0, 0.0), continuous=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    before = exact(*model.span)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(Batch(data(2000))).backward()
        optimizer.step()
    assert model.span[0] > 4
    assert model.span[1] < -2
    assert exact(*model.span) - exact(20, -20) < (before - exact(20, -20)) / 5


@pytest.fixture
def moved() -> Diffusion:
    torch.manual_seed(0)
    model = Diffusion(PLANE, schedule=Learned, denoiser=SMALL, continuous=True, steps=20)
    model.schedule.moved.data.copy_(torch.tensor([1.5, -0.75]))
    return model.eval()


def test_everything_reads_the_ends_that_were_learned(moved):
    assert moved.span == (10.5, -6.75)
    assert (moved.schedule.log_snr_max, moved.schedule.log_snr_min) == moved.span
    seen = []
    network = moved.denoiser.network
    network.register_forward_hook(lambda module, given, _: seen.extend(given[1].tolist()))
    list(moved.denoise(2, Heun(4), generator=generator("heun")))
    assert (max(seen), min(seen)) == pytest.approx(moved.span)
    z, log_scale = moved.embed(torch.ones(1, 2), generator=generator("embed"))
    kept = 1 / (1 + math.exp(-10.5))
    assert z.flatten().tolist() == pytest.approx([kept**0.5] * 2)
    assert log_scale.item() == pytest.approx(math.log(kept))


def test_a_saved_model_has_its_ends_again(moved, tmp_path):
    torch.save(moved.state_dict(), tmp_path / "model.ckpt")
    again = Diffusion(PLANE, schedule=Learned, denoiser=SMALL, continuous=True, steps=20).eval()
    again.load_state_dict(torch.load(tmp_path / "model.ckpt", weights_only=True))
    assert again.span == moved.span
    x = data(8)
    a, b = (m.log_likelihood(x, generator=generator("x")).nats for m in (moved, again))
    assert torch.equal(a, b)


def test_nothing_that_is_drawn_or_shown_carries_gradients(moved):
    for sampler in (None, DDIM(30), Heun(3)):
        assert not moved.sample_by(sampler, 3, generator=generator("x")).requires_grad
    for figure in moved.figures(Batch(data(9)), generator=generator("x")):
        assert not figure.content.points.requires_grad
        assert not figure.content.arrows.requires_grad


def test_in_continuous_time_a_sampler_may_take_more_steps_than_the_chain(moved):
    assert moved.sample_by(DDIM(30), 2, generator=generator("x")).shape == (2, 2)
    with pytest.raises(UsageError, match="this model's chain has 20 steps"):
        Diffusion(PLANE, steps=20).sample_by(DDIM(30), 2, generator=generator("x"))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UsageError, match="must be 1 or more in continuous time"):
        Diffusion(PLANE, continuous=True, bound_steps=0)
    with pytest.raises(UsageError, match=r"schedule=learned are trained by model\.weighting=bound"):
        Diffusion(PLANE, schedule=Learned, weighting="simple")
    learned = partial(Denoiser, variance="learned")
    with pytest.raises(UsageError, match="trained by the bound of T steps alone"):
        Diffusion(PLANE, denoiser=learned, continuous=True)
    with pytest.raises(UsageError, match="trained by the bound of T steps alone"):
        Diffusion(PLANE, denoiser=learned, weighting="simple")
