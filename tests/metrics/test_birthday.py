"""Support sizes that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from genlab.metrics import Birthday
from genlab.metrics.birthday import close_pairs, nearest_pair, poisson_interval
from genlab.randomness import generator


def codes(n: int, size: int, *key: str | int) -> torch.Tensor:
    """n draws of ``size`` equally likely data: the bits of a number, (n, 20)."""
    number = torch.randint(size, (n,), generator=generator("codes", *key))
    return (number[:, None] >> torch.arange(20) & 1).float()


def estimate(samples: torch.Tensor, real: torch.Tensor) -> dict:
    metric = Birthday()
    metric.update(samples, real=False)
    metric.update(real, real=True)
    return metric.compute()


def test_uniform_support_of_known_size():
    """The mean number of equal pairs is s (s − 1) / 2N, and the interval holds N 19 times in 20."""
    size, s = 1000, 400
    found = [estimate(codes(s, size, i), codes(s, size, "real", i)) for i in range(60)]
    assert all(f["threshold"] == 0 for f in found)
    pairs = np.mean([f["pairs"] for f in found])
    assert pairs == pytest.approx(math.comb(s, 2) / size, rel=0.05)
    held = [f["support_low"] <= size <= f["support_high"] for f in found]
    assert 0.87 <= np.mean(held) <= 1.0


def test_half_of_all_draws_collide_at_the_birthday_number():
    """s = √(2 N ln 2) = 118 for N = 10,000: Arora and Zhang's rule."""
    s = round(math.sqrt(2 * 10_000 * math.log(2)))
    assert s == 118
    collided = [close_pairs(codes(s, 10_000, "rule", i), 0.0) > 0 for i in range(400)]
    assert np.mean(collided) == pytest.approx(0.5, abs=0.06)


def test_the_threshold_is_calibrated_on_real_data():
    """Samples that are a grid with noise below what separates two real data count as its cells."""
    stream = generator("grid")
    real = torch.randn(500, 100, generator=stream)
    centres = torch.randn(50, 100, generator=stream)
    copies = centres[torch.randint(50, (500,), generator=stream)]
    found = estimate(copies + 0.01 * torch.randn(500, 100, generator=stream), real)
    assert found["threshold"] == pytest.approx(torch.pdist(real.double()).min().item())
    assert found["support"] == pytest.approx(50, rel=0.05)


def test_no_pair_gives_a_lower_end_only():
    far = 100 * torch.randn(50, 20, generator=generator("far"))
    found = estimate(far, far / 100)
    assert found["pairs"] == 0
    assert found["support"] is None
    assert found["support_high"] is None
    assert found["support_low"] == pytest.approx(math.comb(50, 2) / -math.log(0.05))


@pytest.mark.parametrize("greys", [False, True])
def test_exact_copies_count_at_threshold_zero(greys):
    """Long grey vectors too, whose products are rounded."""
    stream = generator("copies")
    x = torch.randint(0, 256 if greys else 2, (300, 784), generator=stream).float()
    x = x / (255 if greys else 1)
    assert close_pairs(torch.cat([x, x[:7]]), 0.0) == 7
    assert nearest_pair(torch.cat([x, x[:1]])) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [1, 5, 40, 100_000])
def test_poisson_interval(count):
    low, high = poisson_interval(count)
    assert low == pytest.approx(scipy.stats.chi2.ppf(0.025, 2 * count) / 2, rel=1e-6)
    assert high == pytest.approx(scipy.stats.chi2.ppf(0.975, 2 * count + 2) / 2, rel=1e-6)
