"""Two-sample tests: nothing is found where there is nothing, and much where there is much."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from genlab.contracts import UsageError
from genlab.metrics import C2ST, MMD, SampleMetric
from genlab.randomness import generator


def normal(n: int, d: int, *key: str | int) -> torch.Tensor:
    return torch.randn(n, d, generator=generator("tests", *key))


def of(metric: SampleMetric, samples: torch.Tensor, real: torch.Tensor) -> dict:
    metric.update(samples, real=False)
    metric.update(real, real=True)
    return metric.compute()


def test_c2st_guesses_under_the_null():
    """Accuracies have mean ½ and variance 1 / 4n over repetitions, n = 200 rows asked about."""
    found = [of(C2ST(i, epochs=5), normal(200, 3, i), normal(200, 3, "r", i)) for i in range(40)]
    accuracy = np.array([f["accuracy"] for f in found])
    assert accuracy.mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(200 * 40))
    assert accuracy.std() == pytest.approx(0.5 / np.sqrt(200), rel=0.3)
    assert scipy.stats.kstest([f["p_value"] for f in found], "uniform").pvalue > 0.01


def test_c2st_tells_apart_what_is_apart():
    found = of(C2ST(), normal(300, 4, "x") + 5, normal(300, 4, "r"))
    assert found["accuracy"] == 1
    assert found["p_value"] < 1e-30


def test_c2st_of_shifted_gaussians_finds_the_best_accuracy():
    """Φ(δ / 2) for a shift of δ standard deviations."""
    shifted = normal(4000, 2, "x") + torch.tensor([1.0, 0.0])
    found = of(C2ST(), shifted, normal(4000, 2, "r"))
    best = scipy.stats.norm.cdf(0.5)
    assert found["accuracy"] == pytest.approx(best, abs=3 * found["stderr"])
    assert found["stderr"] == pytest.approx(np.sqrt(best * (1 - best) / 4000), rel=0.02)


def test_c2st_takes_as_many_of_each():
    """A classifier that always says the larger class must not look better than guessing."""
    found = of(C2ST(), normal(900, 2, "x"), normal(100, 2, "r"))
    assert found["accuracy"] < 0.65


def test_mmd_against_a_double_loop():
    x, y = normal(8, 3, "x").double(), normal(11, 3, "y").double() + 1
    both = torch.cat([x, y])
    sigma2 = torch.cdist(both, both).square()
    sigma2 = sigma2[sigma2 > 0].median()

    def k(a, b):
        return float((-(a - b).square().sum() / (2 * sigma2)).exp())

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    cross = np.mean([k(a, b) for a in x for b in y])
    expected = within_x + within_y - 2 * cross
    assert of(MMD(), x, y)["mmd2"] == pytest.approx(expected, rel=1e-4)


def test_mmd_p_values_are_uniform_under_the_null():
    found = [
        of(MMD(i, permutations=99), normal(40, 3, i), normal(50, 3, "r", i)) for i in range(150)
    ]
    for key in ("p_value", "p_value_aggregated"):
        p = np.array([f[key] for f in found])
        jitter = torch.rand(150, generator=generator("jitter")).numpy() / 100  # p is k / 100
        assert scipy.stats.kstest(p - jitter, "uniform").pvalue > 0.01
        assert p.min() >= 0.01
    assert abs(np.mean([f["mmd2"] for f in found])) < 0.002


def test_mmd_finds_a_shift():
    found = of(MMD(), normal(200, 5, "x") + 0.5, normal(200, 5, "r"))
    assert found["p_value"] == pytest.approx(1 / 501)
    assert found["p_value_aggregated"] == pytest.approx(1 / 501)


def test_aggregated_bandwidths_find_what_the_median_misses():
    """A fine pattern at a scale far below the median distance."""
    stream = generator("comb")
    tooth = torch.randint(20, (1000, 1), generator=stream).float()
    comb = tooth + 0.05 * torch.randn(1000, 1, generator=stream)
    even = 20 * torch.rand(1000, 1, generator=stream) - 0.5
    metric = MMD(rows=1000, permutations=199)
    found = of(metric, comb, even)
    assert found["p_value"] > 0.05
    assert found["p_value_aggregated"] < found["p_value"]


def test_mmd_of_one_point_finds_nothing():
    found = of(MMD(), torch.ones(20, 3), torch.ones(20, 3))
    assert found == {"mmd2": 0, "p_value": 1, "p_value_aggregated": 1}


def test_mmd_takes_rows_from_all_over_the_set():
    """Data may be sorted: the first rows alone would be of one class."""
    ordered = torch.arange(1000.0)[:, None]
    found = of(MMD(rows=100), ordered, ordered.flip(0) + 0.5)
    assert found["p_value"] > 0.5


@pytest.mark.parametrize("metric", [C2ST, MMD])
def test_the_seed_decides_and_nothing_else_is_touched(metric):
    samples, real = normal(60, 3, "x") + 0.2, normal(60, 3, "r")
    before = torch.get_rng_state()
    one, same, other = (of(metric(seed), samples, real) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one == same
    assert one != other


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: C2ST(epochs=0), "epochs=0 must be at least 1"),
        (lambda: C2ST(hidden=0), "hidden=0 must be at least 1"),
        (lambda: MMD(permutations=3), "permutations=3 must be at least 19"),
        (lambda: MMD(rows=1), "rows=1 must be at least 2"),
    ],
)
def test_settings_out_of_range(make, says):
    with pytest.raises(UsageError, match=says):
        make()
