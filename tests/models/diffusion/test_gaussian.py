"""Gaussian data, where everything is known: N(m, v) in every entry, with the optimal denoiser plugged in.

The expected values are computed here from Gaussian conditioning alone, not with the model's formulas.
"""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch

from genlab.contracts import DataSpec, Guarantee, Measure, Support
from genlab.models.diffusion import (
    DDIM,
    Ancestral,
    Cosine,
    Diffusion,
    Linear,
    LogLinear,
    Schedule,
    noising,
)
from genlab.models.diffusion.bound import sum_terms
from genlab.models.diffusion.reverse import Moments
from genlab.randomness import generator

SPEC = DataSpec("gaussian", "", (2,), Support.REAL)


class Optimal(torch.nn.Module):
    """The mean of x given z for x ~ N(m, v), with the true, a normal or no variance."""

    def __init__(self, m: float, v: float, variance: str) -> None:
        super().__init__()
        self.m, self.v, self.variance = m, v, variance

    def forward(self, z, log_snr):
        log_snr = log_snr.reshape(-1, *[1] * (z.dim() - 1)).to(z.dtype)
        a, s2 = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr)
        total = a**2 * self.v + s2
        named = {"true": self.v * s2 / total, "normal": s2, "zero": torch.zeros(1)}
        return Moments(self.m + a * self.v / total * (z - a * self.m), named[self.variance])


def diffusion(m, v, steps, schedule=LogLinear, variance="normal", ends=(9.0, -6.0)) -> Diffusion:
    return Diffusion(
        SPEC,
        schedule=partial(schedule, *ends),
        denoiser=lambda spec: Optimal(m, v, variance),
        steps=steps,
        bound_steps=0,
    )


def ladder(model: Diffusion) -> list[tuple[float, float]]:
    """(α, σ²) from t = 0 to t = 1."""
    t = torch.linspace(0, 1, model.chain.steps + 1, dtype=torch.float64)
    return [(math.sqrt(1 / (1 + math.exp(-u))), 1 / (1 + math.exp(u))) for u in model.schedule(t)]


def steps_back(model: Diffusion, v: float):
    """For every step: coefficients of z_t and x in E[z_s | z_t, x]; variances of q and of p; E(x-x̂)²."""
    rungs = ladder(model)
    for (a_s, v_s), (a_t, v_t) in pairwise(rungs):
        a, forward = a_t / a_s, v_t - (a_t / a_s) ** 2 * v_s
        posterior = 1 / (1 / v_s + a**2 / forward)
        error = v * v_t / (a_t**2 * v + v_t)
        true = posterior + (posterior * a_s / v_s) ** 2 * error
        used = {"normal": forward, "zero": posterior, "true": true}[model.denoiser.variance]
        yield posterior * a / forward, posterior * a_s / v_s, posterior, used, error, a_t, v_t


def expected_bound(model: Diffusion, m: float, v: float) -> float:
    """E(-bound) per entry over x ~ N(m, v)."""
    rungs = ladder(model)
    (a_0, v_0), (a_1, v_1) = rungs[0], rungs[-1]
    nats = (v_1 + a_1**2 * (v + m**2) - 1 - math.log(v_1)) / 2
    nats += math.log(2 * math.pi * math.e * v_0 / a_0**2) / 2
    for _, pull, q, p, error, _, _ in steps_back(model, v):
        nats += (q / p - 1 - math.log(q / p) + pull**2 * error / p) / 2
    return nats


def chain_moments(model: Diffusion, m: float, v: float) -> tuple[float, float]:
    """Mean and variance of what the chain draws, by propagating N(0, 1) through every step."""
    mean, var = 0.0, 1.0
    for keep, pull, _, p, _, a_t, v_t in reversed(list(steps_back(model, v))):
        gain = a_t * v / (a_t**2 * v + v_t)
        mean = keep * mean + pull * (m + gain * (mean - a_t * m))
        var = (keep + pull * gain) ** 2 * var + p
    a_0, v_0 = ladder(model)[0]
    return mean / a_0, (var + v_0) / a_0**2


def cross_entropy(m: float, v: float, mean: float, var: float) -> float:
    return (math.log(2 * math.pi * var) + (v + (m - mean) ** 2) / var) / 2


CASES = [
    (LogLinear, "normal", 0.25, 0.0),
    (LogLinear, "zero", 0.25, 0.5),
    (Linear, "normal", 0.01, 0.0),
    (Cosine, "zero", 1.0, -0.3),
]


@pytest.mark.parametrize(("schedule", "variance", "v", "m"), CASES)
def test_the_bound_is_what_gaussian_conditioning_says(schedule, variance, v, m):
    model = diffusion(m, v, 40, schedule, variance)
    x = m + v**0.5 * torch.randn(20_000, 2, generator=generator("data"))
    result = model.log_likelihood(x, generator=generator("bound"))
    assert (result.guarantee, result.measure) == (Guarantee.LOWER_BOUND, Measure.DENSITY)
    nll = -result.nats / 2
    error = nll.std().item() / math.sqrt(len(x))
    assert nll.mean().item() == pytest.approx(expected_bound(model, m, v), abs=4 * error)
    assert error < 0.1


def test_both_ends_count_where_they_lose_much():
    model = diffusion(0.5, 0.25, 5, ends=(3.0, 0.0))
    x = 0.5 + 0.5 * torch.randn(100_000, 2, generator=generator("data"))
    nll = -model.log_likelihood(x, generator=generator("bound")).nats / 2
    assert nll.mean().item() == pytest.approx(expected_bound(model, 0.5, 0.25), abs=0.01)


@pytest.mark.parametrize(("schedule", "variance", "v", "m"), CASES)
def test_the_bound_is_below_the_chain_and_closes_in_with_its_steps(schedule, variance, v, m):
    gaps = []
    for steps in (10, 100, 1000):
        model = diffusion(m, v, steps, schedule, variance)
        gaps.append(expected_bound(model, m, v) - cross_entropy(m, v, *chain_moments(model, m, v)))
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[1] / gaps[2] > 5


@pytest.mark.parametrize("schedule", [LogLinear, Linear, Cosine])
@pytest.mark.parametrize("steps", [1, 10, 40])
def test_with_the_true_variance_only_the_ends_are_lost(schedule, steps):
    """The gap is KL(q(z_1) || N(0, I)), and what z_0 does not know of x, for any number of steps."""
    v = 0.25
    model = diffusion(0.0, v, steps, schedule, "true")
    (a_0, v_0), (a_1, v_1) = ladder(model)[0], ladder(model)[-1]
    marginal = a_1**2 * v + v_1
    ends = (marginal - 1 - math.log(marginal) + math.log1p(v_0 / a_0**2 / v)) / 2
    entropy = math.log(2 * math.pi * math.e * v) / 2
    assert expected_bound(model, 0.0, v) - entropy == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 10, 1000])
def test_normal_variance_is_exact_for_standard_normal_data(steps):
    """The only loss left is that of the last step, from a z_0 that knows x up to σ_0."""
    model = diffusion(0.0, 1.0, steps)
    entropy = math.log(2 * math.pi * math.e) / 2
    assert expected_bound(model, 0.0, 1.0) - entropy == pytest.approx(math.exp(-9) / 2, rel=1e-3)


def gap(model: Diffusion, v: float) -> float:
    """Bits per entry that the bound lies above the exact number, for x ~ N(0, v)."""
    entropy = math.log(2 * math.pi * math.e * v) / 2
    return (expected_bound(model, 0.0, v) - entropy) / math.log(2)


LINEAR_END = -math.log(
    math.expm1(0.1 + 19.9 / 2)
)  # log-SNR of Ho et al.'s linear β at their last step
MEASURED = [  # elsewhere, by the chain of Ho et al. from x_0 itself
    (Cosine, 0.25, -12.0, {10: 0.0821, 40: 0.0217, 100: 0.0088, 1000: 0.0009}),
    (Linear, 0.01, LINEAR_END, {10: 1.55, 40: 0.595, 100: 0.263, 1000: 0.028}),
]


@pytest.mark.parametrize(("schedule", "v", "end", "rows"), MEASURED)
def test_the_gap_of_the_normal_variance_is_that_of_independent_measurements(schedule, v, end, rows):
    for steps, bits in rows.items():
        found = gap(diffusion(0.0, v, steps, schedule, ends=(20.0, end)), v)
        assert found == pytest.approx(bits, rel=0.015, abs=5e-5)


def own_bound(model: Diffusion, v: float, monkeypatch) -> float:
    """What the model's own code makes of the bound per entry, over x ~ N(0, v) and all noise.

    Where x̂ is linear, each term is a quadratic form in x and in the noise that it draws, of which the mean
    over x = ±s and noise = ±1 is that over the Gaussians.
    """
    x = v**0.5 * torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    signs = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    monkeypatch.setattr(noising, "randn_like", lambda like, generator: signs)
    return sum_terms(model.bound(x, generator=generator("unused"))).mean().item() / 2


@pytest.mark.parametrize(("schedule", "v", "end", "rows"), MEASURED)
def test_the_model_itself_has_the_gap_of_independent_measurements(
    schedule, v, end, rows, monkeypatch
):
    for steps, bits in rows.items():
        model = diffusion(0.0, v, steps, schedule, ends=(20.0, end))
        nats = own_bound(model, v, monkeypatch)
        assert nats == pytest.approx(expected_bound(model, 0.0, v), abs=1e-9)
        entropy = math.log(2 * math.pi * math.e * v) / 2
        assert (nats - entropy) / math.log(2) == pytest.approx(bits, rel=0.015, abs=5e-5)


class Published(Schedule):
    """The log-SNRs after each of the steps with these β, z_0 being the first of them."""

    def __init__(self, betas: list[float], levels: int | None = None) -> None:
        kept = (1 - torch.tensor(betas, dtype=torch.float64)).cumprod(0)
        log_snr = kept.log() - (1 - kept).log()
        super().__init__(log_snr[0].item(), log_snr[-1].item())
        self.table = log_snr

    def forward(self, t):
        return self.table[(t * (len(self.table) - 1)).round().long()]

    def rate(self, t):
        raise NotImplementedError


def cosine_betas(steps: int) -> list[float]:
    kept = [math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(steps + 1)]
    return [min(0.999, 1 - after / before) for before, after in pairwise(kept)]


@pytest.mark.parametrize(
    ("betas", "bits"),
    [(cosine_betas(1000), 0.587), (torch.linspace(1e-4, 0.02, 1000).tolist(), 0.671)],
    ids=["cosine", "linear"],
)
def test_without_a_variance_of_x_the_first_steps_cost_much_even_of_a_thousand(betas, bits):
    """Σ = β̃_t for t ≥ 2 of 1000 steps, standard normal data: .58 to .67 bits were measured elsewhere."""
    model = diffusion(0.0, 1.0, 999, lambda *_, levels: Published(betas, levels), "zero")
    assert gap(model, 1.0) == pytest.approx(bits, abs=1e-3)


@pytest.mark.parametrize(("steps", "bits"), [(10, 0.00176), (40, 0.00012)])
def test_with_the_true_variance_a_short_chain_loses_what_its_end_still_knows(steps, bits):
    """α² = 1/(T + 1) at the end, as where each step forgets as much as any other."""
    model = diffusion(0.0, 0.25, steps, variance="true", ends=(20.0, -math.log(steps)))
    assert gap(model, 0.25) == pytest.approx(bits, abs=5e-6)


@pytest.mark.parametrize("variance", ["normal", "zero", "true"])
def test_samples_are_those_of_the_chain(variance):
    m, v, steps = 0.5, 0.25, 25
    model = diffusion(m, v, steps, variance=variance)
    x = model.sample(40_000, generator=generator("sample"))
    mean, var = chain_moments(model, m, v)
    assert x.mean().item() == pytest.approx(mean, abs=0.01)
    assert x.var().item() == pytest.approx(var, rel=0.02)


def last(model: Diffusion, sampler, n: int = 40_000) -> torch.Tensor:
    *_, x = model.denoise(n, sampler, generator=generator("denoise"))
    return x


def test_ddim_with_eta_1_is_the_ancestral_chain():
    model = diffusion(0.5, 0.25, 25, variance="zero")
    ancestral, ddim = last(model, Ancestral(25)), last(model, DDIM(25, eta=1.0))
    torch.testing.assert_close(ddim, ancestral, atol=1e-4, rtol=1e-4)  # the same noise, even


def test_eta_is_the_share_of_the_standard_deviation():
    z, x = torch.full((100_000, 1), 0.3), Moments(torch.zeros(1), torch.zeros(1))
    s, t = torch.tensor(1.0), torch.tensor(0.0)
    full, half = (DDIM(1, eta).step(z, x, s, t, generator("eta")).std() for eta in (1.0, 0.5))
    assert half / full == pytest.approx(0.5, abs=0.01)


def test_ddim_with_eta_0_carries_noise_to_the_data_without_drawing_any():
    model = diffusion(0.5, 0.25, 10)
    x = last(model, DDIM(500))
    assert x.mean().item() == pytest.approx(0.5, abs=0.02)
    assert x.var().item() == pytest.approx(0.25, rel=0.03)
    states = model.denoise(3, DDIM(7), generator=generator("a"))
    start = next(states)
    again = DDIM(7)(model.denoiser, model.schedule, start, generator=generator("another"))
    for state, same in zip(list(states)[:-1], list(again)[1:], strict=True):
        assert torch.equal(state, same)


@pytest.mark.parametrize("sampler", [Ancestral(3), Ancestral(1), DDIM(5, eta=0.5)])
def test_a_sampler_hands_out_every_state(sampler):
    model = diffusion(0.0, 1.0, 10)
    states = list(model.denoise(4, sampler, generator=generator("states")))
    assert len(states) == sampler.steps + 2
    assert all(state.shape == (4, 2) for state in states)
