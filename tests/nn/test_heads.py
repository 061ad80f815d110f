"""Output distributions: they sum to one, samples follow them, and half precision does not reach them."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from genlab.contracts import DataSpec, Support, UnsupportedData, UsageError
from genlab.nn.heads import (
    Bernoulli,
    Categorical,
    GaussianMixture,
    LogisticMixture,
    head_for,
)
from genlab.randomness import generator
from genlab.testing.statistics import g_test

REAL = DataSpec("reals", "", (3,), Support.REAL)


def greys(levels: int) -> DataSpec:
    return DataSpec("greys", f"{levels} levels", (3,), Support.LEVELS, levels)


def every_level(levels: int) -> torch.Tensor:
    """(L, 1)"""
    return torch.linspace(0, 1, levels)[:, None]


def random_theta(head, n: int, spread: float = 1.0) -> torch.Tensor:
    return spread * torch.randn(n, head.params, generator=generator("theta"))


def logistic(mean: list[float], log_scale: list[float], logits: list[float] | None = None):
    logits = logits or [0.0] * len(mean)
    return torch.tensor([*logits, *mean, *log_scale])


EXTREME = {
    "narrow between levels": ([0.003], [-7.0]),
    "narrower than is allowed": ([0.1, -0.1], [-50.0, -1000.0]),
    "wide": ([0.0, 0.5], [7.0, 500.0]),
    "far to the right": ([300.0], [-7.0]),
    "far to the left": ([-1e6], [0.0]),
    "mixed": ([-1.0, 0.2, 1.0, 40.0], [-7.0, -3.0, 0.0, 3.0]),
}


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
@pytest.mark.parametrize(("mean", "log_scale"), EXTREME.values(), ids=EXTREME.keys())
def test_masses_of_a_logistic_mixture_sum_to_one(levels, mean, log_scale):
    head = LogisticMixture(greys(levels), components=len(mean))
    theta = logistic(mean, log_scale).expand(levels, 1, -1).clone().requires_grad_()
    log_p = head.log_prob(every_level(levels), theta)
    assert log_p.isfinite().all()
    assert log_p.double().exp().sum().item() == pytest.approx(1, abs=2e-5)
    log_p.sum().backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize("levels", [5, 256])
def test_masses_are_differences_of_the_distribution_function(levels):
    """Against float64 sigmoid differences, where these have digits left."""
    head = LogisticMixture(greys(levels), components=3)
    theta = random_theta(head, 50)[:, None]
    x = every_level(levels)
    cdf = torch.stack([head.cdf(level.expand(50, 1), theta) for level in x])
    masses = torch.cat([cdf[:1], cdf.diff(dim=0)])
    log_p = torch.stack([head.log_prob(level.expand(50, 1), theta) for level in x])
    assert (cdf[-1] == 1).all()
    seen = masses > 1e-9
    torch.testing.assert_close(log_p.double()[seen], masses[seen].log(), atol=2e-4, rtol=1e-4)


def test_tails_of_a_logistic_mixture_are_exact_far_beyond_float32_differences():
    """50 scales away, log(sigmoid(a) - sigmoid(b)) = b - … to first order, and the naive form is -inf."""
    head = LogisticMixture(greys(256), components=1)
    x, theta = torch.tensor([[0.0], [100 / 255], [1.0]]), logistic([3.0], [math.log(0.04)])
    found = head.log_prob(x, theta.expand(3, 1, 3)).flatten().double()
    h, s = 1 / 255, 0.04
    a, b = (2 * 100 / 255 - 1 + h - 3) / s, (2 * 100 / 255 - 1 - h - 3) / s
    inner = a + math.log(-math.expm1(b - a))  # sigmoid(a) = e^a, up to e^2a
    assert found[0].item() == pytest.approx((-1 + h - 3) / s, rel=1e-5)
    assert found[1].item() == pytest.approx(inner, rel=1e-5)
    assert found[2].item() == pytest.approx(0, abs=1e-6)
    assert torch.log(torch.tensor(a).sigmoid() - torch.tensor(b).sigmoid()) != inner


def test_a_narrow_cell_holds_density_times_width():
    head = LogisticMixture(greys(256), components=1)
    x, s = torch.tensor([[0.4]]), math.exp(5)
    density = stats.logistic(scale=s).pdf(2 * 0.4 - 1)
    found = head.log_prob(x, logistic([0.0], [5.0]).expand(1, 1, 3)).item()
    assert found == pytest.approx(math.log(density * 2 / 255), abs=1e-5)


def test_density_of_a_gaussian_mixture():
    head = GaussianMixture(REAL, components=2)
    theta = torch.tensor([0.3, -0.5, 1.0, -2.0, -1.0, 0.7])
    weight = torch.tensor([0.3, -0.5]).softmax(0).tolist()
    x = torch.linspace(-9, 9, 50)[:, None]
    parts = [stats.norm(m, math.exp(s)).pdf(x) for m, s in ((1.0, -1.0), (-2.0, 0.7))]
    expected = torch.tensor(weight[0] * parts[0] + weight[1] * parts[1]).log()
    found = head.log_prob(x, theta.expand(50, 1, 6)).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_gaussian_mixture_is_finite_at_extreme_parameters():
    head = GaussianMixture(REAL, components=2)
    theta = torch.tensor([0.0, 500.0, 1e4, 0.0, -1000.0, 1000.0]).expand(1, 1, 6).clone()
    log_p = head.log_prob(torch.zeros(1, 1), theta.requires_grad_())
    log_p.sum().backward()
    assert log_p.isfinite().all()
    assert theta.grad.isfinite().all()


def test_the_quantile_of_a_gaussian_mixture_inverts_its_distribution_function():
    head = GaussianMixture(REAL, components=4)
    theta = random_theta(head, 2000, 2.0).double()[:, None]
    u = torch.rand(2000, 1, generator=generator("u"), dtype=torch.float64)
    x = head.quantile(u, theta)
    torch.testing.assert_close(head.cdf(x, theta), u, atol=1e-7, rtol=0)


def test_quantiles_at_the_ends_are_finite():
    head = GaussianMixture(REAL, components=2)
    theta = random_theta(head, 2)[:, None]
    x = head.quantile(torch.tensor([[0.0], [1.0]]), theta)
    assert x.isfinite().all()
    discrete = LogisticMixture(greys(17), components=2)
    ends = discrete.quantile(
        torch.tensor([[0.0], [1 - 2**-24]]), random_theta(discrete, 2)[:, None]
    )
    assert ((ends >= 0) & (ends <= 1)).all()


@pytest.mark.parametrize("levels", [2, 3, 5, 17, 256])
def test_the_quantile_of_a_logistic_mixture_is_the_first_level_that_reaches_u(levels):
    head = LogisticMixture(greys(levels), components=3)
    theta = random_theta(head, 400)[:, None]
    u = torch.rand(400, 1, generator=generator("u"))
    cdf = torch.cat([head.cdf(level.expand(400, 1), theta) for level in every_level(levels)], 1)
    first = (cdf <= u).sum(1)
    assert torch.equal((head.quantile(u, theta)[:, 0] * (levels - 1)).round().long(), first)


HEADS = {
    "bernoulli": (Bernoulli(), 2),
    "categorical": (Categorical(5), 5),
    "logistic, 5 levels": (LogisticMixture(greys(5), 2), 5),
    "logistic, 256 levels": (LogisticMixture(greys(256), 3), 256),
}


@pytest.mark.parametrize(("head", "levels"), HEADS.values(), ids=HEADS.keys())
def test_samples_follow_the_masses(head, levels):
    theta = random_theta(head, 1)
    n, x = 20_000, every_level(levels)
    p = head.log_prob(x, theta.expand(levels, 1, -1)).double().exp().flatten()
    draws = head.sample(theta.expand(n, 1, -1), generator("draws"))
    counts = torch.bincount((draws.flatten() * (levels - 1)).round().long(), minlength=levels)
    assert g_test(counts, p / p.sum()) > 1e-3
    assert head.mean(theta[:, None]).item() == pytest.approx((p @ x.double()).item(), abs=1e-5)


def test_samples_follow_the_density():
    head = GaussianMixture(REAL, components=3)
    theta = torch.tensor([0.0, 1.0, 0.5, -2.0, 0.0, 3.0, -1.0, 0.0, -2.0])
    draws = head.sample(theta.expand(20_000, 1, 9), generator("draws")).flatten()

    def cdf(x):
        x = torch.as_tensor(x)
        return head.cdf(x[:, None], theta.expand(len(x), 1, 9)).flatten().numpy()

    assert stats.kstest(draws.double().numpy(), cdf).pvalue > 1e-3
    grid = torch.linspace(-12, 12, 48_001, dtype=torch.float64)[:, None]
    p = head.log_prob(grid, theta.double().expand(len(grid), 1, 9)).exp().flatten() * 24 / 48_000
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    assert head.mean(theta[None, None]).item() == pytest.approx((p @ grid[:, 0]).item(), abs=1e-5)
    assert p.cumsum(0)[30_000].item() == pytest.approx(cdf(grid[30_000])[0].item(), abs=1e-3)


# The independent model


@pytest.mark.parametrize("components", [1, 4, 10])
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_the_marginal_of_a_mixture_has_the_moments_of_the_data(components, n):
    x = torch.randn(n, 2, generator=generator("x")) * torch.tensor([0.5, 2.0]) + 1
    head = GaussianMixture(REAL, components)
    theta = head.marginal(x)
    assert theta.shape == (2, 3 * components)
    assert theta.isfinite().all()
    mean = head.mean(theta[None])[0]
    torch.testing.assert_close(mean, x.mean(0), atol=0.05 if n > 3 else 2.0, rtol=0)
    if n == 1000:
        _, means, log_scales = theta.chunk(3, -1)
        variance = (log_scales.exp().square() + means.square()).mean(-1) - mean.square()
        torch.testing.assert_close(variance, x.var(0), atol=0.05, rtol=0.05)


def test_the_marginal_of_a_logistic_mixture_is_near_the_frequencies_and_gives_every_level_a_mass():
    head, exact = LogisticMixture(greys(17), 10), Categorical(17)
    p = torch.tensor([6.0, 0, 0, 1, 1, 2, 3, 1, 1, 0, 0, 0, 1, 1, 2, 3, 5])
    level = torch.multinomial(p, 3000, True, generator=generator("levels"))
    x = torch.stack([level / 16, torch.zeros(3000)], 1)
    nats = [h.log_prob(x, h.marginal(x).expand(3000, 2, h.params)).mean(0) for h in (head, exact)]
    assert (nats[1] - nats[0]).max() < 0.5
    unseen = torch.ones(1, 2)
    assert head.log_prob(unseen, head.marginal(x)[None])[0, 1] > -500


def test_a_single_logistic_has_the_mean_and_variance_of_the_data():
    head, y = (
        LogisticMixture(greys(256), 1),
        0.5 + 0.08 * torch.randn(20_000, 1, generator=generator("x")),
    )
    x = ((y.clamp(0, 1) * 255).round() / 255).double()
    p = head.log_prob(every_level(256), head.marginal(x.float()).expand(256, 1, 3)).double().exp()
    level = every_level(256).double()
    mean = (p * level).sum()
    assert mean.item() == pytest.approx(x.mean().item(), abs=1e-3)
    variance = (p * (level - mean).square()).sum().item()
    assert variance == pytest.approx(x.var().item(), rel=0.02)


# Precision and refusals


@pytest.mark.parametrize(
    ("head", "x"),
    [
        (Bernoulli(), torch.tensor([1.0, 0.0, 1.0])),
        (Categorical(5), torch.tensor([0.0, 0.5, 1.0])),
        (LogisticMixture(greys(256), 5), torch.tensor([0.0, 100 / 255, 1.0])),
        (GaussianMixture(REAL, 5), torch.tensor([0.1, -3.0, 1.0])),
    ],
)
def test_half_precision_is_only_that_of_theta(head, x):
    half = random_theta(head, 3)[None].bfloat16()
    u = torch.tensor([[0.1, 0.5, 0.9]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head.log_prob(x[None], half), head.quantile(u, half), head.mean(half)
    expected = (
        head.log_prob(x[None], half.float()),
        head.quantile(u, half.float()),
        head.mean(half.float()),
    )
    for a, b in zip(found, expected, strict=True):
        assert a.dtype is torch.float32
        assert torch.equal(a, b)


def test_each_support_has_a_default():
    assert isinstance(head_for(DataSpec("bits", "", (3,), Support.BINARY)), Bernoulli)
    assert isinstance(head_for(greys(5)), Categorical)
    assert isinstance(head_for(REAL), GaussianMixture)


def test_what_a_head_cannot_be_is_refused():
    with pytest.raises(UnsupportedData, match="LEVELS data; reals is REAL"):
        LogisticMixture(REAL)
    with pytest.raises(UnsupportedData, match="REAL data; greys is LEVELS"):
        GaussianMixture(greys(5))
    for mixture, spec in ((LogisticMixture, greys(5)), (GaussianMixture, REAL)):
        with pytest.raises(UsageError, match="components=0"):
            mixture(spec, components=0)
