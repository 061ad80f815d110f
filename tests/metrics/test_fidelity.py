"""Distances and balls in feature space, against closed forms, a naive double loop and expectations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from genlab.contracts import UsageError
from genlab.metrics import DensityCoverage, Frechet, Kernel, PrecisionRecall, SampleMetric
from genlab.metrics.density_coverage import expected_coverage
from genlab.randomness import generator


def normal(n: int, d: int, *key: str | int) -> torch.Tensor:
    return torch.randn(n, d, generator=generator("tests", *key))


def of(metric: SampleMetric, samples: torch.Tensor, real: torch.Tensor) -> dict:
    for x, is_real in ((samples, False), (real, True)):
        for part in x.split(64):  # in batches, as a user would
            metric.update(part, real=is_real)
    return metric.compute()


def exactly(n: int, mean: list[float], cov: np.ndarray, *key: str | int) -> torch.Tensor:
    """n points whose sample mean and covariance are exactly these."""
    x = normal(n, len(mean), *key).double().numpy()
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return torch.from_numpy(x @ np.linalg.cholesky(cov).T + np.array(mean))


def test_frechet_distance_between_gaussians_of_one_shape():
    """Commuting covariances: ‖μ − ν‖² + Σ (s_i − t_i)², s and t standard deviations."""
    x = exactly(500, [1.0, 2.0, 0.0], np.diag([1.0, 4.0, 9.0]), "x")
    y = exactly(400, [0.0, 0.0, 0.0], np.diag([4.0, 4.0, 1.0]), "y")
    expected = 1 + 4 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2
    assert of(Frechet(), x, y)["distance"] == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_agrees_with_the_matrix_root():
    a, b = np.cov(normal(9, 4, "a").numpy().T), np.cov(normal(9, 4, "b").numpy().T)
    x, y = exactly(300, [0.0] * 4, a, "x"), exactly(300, [0.5] * 4, b, "y")
    root = np.trace(scipy.linalg.sqrtm(a @ b)).real
    expected = 4 * 0.25 + np.trace(a) + np.trace(b) - 2 * root
    assert of(Frechet(), x, y)["distance"] == pytest.approx(expected, rel=1e-8)


def test_kernel_distance_is_unbiased():
    """Mean 0 over random splits of one set, in standard errors; a biased estimate is 20 of them off."""
    x = normal(200, 8, "pool")
    values = []
    for i in range(200):
        order = torch.randperm(200, generator=generator("split", i))
        values.append(of(Kernel(), x[order[:100]], x[order[100:]])["distance"])
    mean, error = np.mean(values), np.std(values) / np.sqrt(len(values))
    assert abs(mean) < 3 * error


def test_kernel_distance_against_a_double_loop():
    x, y = normal(12, 3, "x").double(), normal(9, 3, "y").double() + 0.5

    def k(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    cross = np.mean([k(a, b) for a in x for b in y])
    expected = within_x + within_y - 2 * cross
    assert of(Kernel(), x, y)["distance"] == pytest.approx(expected, rel=1e-10)


def naive_share(x, centres, k: int) -> float:
    """The share of x within the k-th neighbour's distance of a centre, written out."""

    def distance(a, b):
        return float((a - b).norm())

    inside = 0
    for a in x:
        for i, c in enumerate(centres):
            others = sorted(distance(c, o) for j, o in enumerate(centres) if j != i)
            if distance(a, c) <= others[k - 1]:
                inside += 1
                break
    return inside / len(x)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_against_a_double_loop(k):
    real, samples = normal(40, 2, "real").double(), normal(30, 2, "samples").double() * 0.5 + 1
    found = of(PrecisionRecall(k=k), samples, real)
    assert found["precision"] == pytest.approx(naive_share(samples, real, k))
    assert found["recall"] == pytest.approx(naive_share(real, samples, k))
    assert found["precision"] != found["recall"]


def test_precision_and_recall_tell_fidelity_from_diversity():
    real = normal(300, 2, "real") * 3
    narrow = of(PrecisionRecall(), normal(300, 2, "narrow") * 0.1, real)
    assert narrow["precision"] > 0.95
    assert narrow["recall"] < 0.05
    wide = of(PrecisionRecall(), normal(300, 2, "wide") * 30, real)
    assert wide["recall"] > 0.95
    assert wide["precision"] < 0.5


def test_density_and_coverage_of_equal_distributions():
    """E[density] = 1; E[coverage] = 1 − Π (N − 1 − i) / (2N − 1 − i), 0.969 for k = 5."""
    found = [
        of(DensityCoverage(), normal(1000, 6, "samples", i), normal(1000, 6, "real", i))
        for i in range(10)
    ]
    assert np.mean([f["density"] for f in found]) == pytest.approx(1.0, abs=0.015)
    assert expected_coverage(1000, 1000, 5) == pytest.approx(1 - 2**-5, abs=1e-3)
    assert np.mean([f["coverage"] for f in found]) == pytest.approx(31 / 32, abs=0.004)


def test_expected_coverage_for_unequal_numbers():
    found = [
        of(DensityCoverage(k=2), normal(100, 3, "s", i), normal(300, 3, "r", i))["coverage"]
        for i in range(40)
    ]
    assert np.mean(found) == pytest.approx(expected_coverage(100, 300, 2), abs=0.01)


def test_samples_and_real_data_may_come_in_any_order():
    real, samples = normal(50, 4, "real"), normal(60, 4, "samples") + 1
    one, other = PrecisionRecall(), PrecisionRecall()
    one.update(real, real=True)
    one.update(samples, real=False)
    other.update(samples, real=False)
    other.update(real, real=True)
    assert one.compute() == other.compute()


def test_a_feature_network_is_handed_in():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).requires_grad_(False)
    real, samples = normal(80, 16, "real").view(-1, 1, 4, 4), normal(80, 16, "x").view(-1, 1, 4, 4)
    direct = of(Frechet(), network(samples), network(real))
    assert of(Frechet(features=network), samples, real) == pytest.approx(direct)


@pytest.mark.parametrize("metric", [Frechet(), Kernel(), PrecisionRecall(), DensityCoverage()])
def test_too_few_samples_are_refused(metric):
    metric.update(normal(metric.least - 1, 2, "few"), real=False)
    metric.update(normal(10, 2, "real"), real=True)
    with pytest.raises(UsageError, match=f"needs at least {metric.least}"):
        metric.compute()


@pytest.mark.parametrize("metric", [PrecisionRecall, DensityCoverage])
def test_no_neighbours_are_refused(metric):
    with pytest.raises(UsageError, match="k=0 must be at least 1"):
        metric(k=0)
