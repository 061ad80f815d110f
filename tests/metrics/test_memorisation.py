"""Copies of training data, against an independent Mann-Whitney test."""

from __future__ import annotations

import pytest
import scipy.stats
import torch

from genlab.contracts import UsageError
from genlab.metrics import Memorisation
from genlab.metrics.memorisation import mann_whitney, normal_cdf
from genlab.randomness import generator


@pytest.mark.parametrize("levels", [None, 3])
def test_mann_whitney(levels):
    """With ties and without."""
    stream = generator("ranks")
    x, y = torch.randn(60, generator=stream), torch.randn(80, generator=stream) + 0.3
    if levels:
        x, y = (x * levels).round(), (y * levels).round()
    share, z = mann_whitney(x.double(), y.double())
    test = scipy.stats.mannwhitneyu(
        x.double().numpy(),
        y.double().numpy(),
        alternative="less",
        method="asymptotic",
        use_continuity=False,
    )
    assert share == pytest.approx(test.statistic / (60 * 80))
    assert normal_cdf(z) == pytest.approx(test.pvalue, rel=1e-9)
    assert z < 0


def test_equal_values_say_nothing():
    assert mann_whitney(torch.ones(5), torch.ones(7)) == (0.5, 0.0)


def points(n: int, *key: str | int) -> torch.Tensor:
    return torch.randn(n, 5, generator=generator("points", *key))


def measured(samples: torch.Tensor, train: torch.Tensor, held_out: torch.Tensor) -> dict:
    metric = Memorisation()
    metric.prepare(train)
    metric.update(samples, real=False)
    metric.update(held_out, real=True)
    return metric.compute()


def test_copies_with_noise_are_too_near():
    train, held_out = points(300, "train"), points(300, "held out")
    noise = points(300, "noise")
    copied = measured(train + 0.05 * noise, train, held_out)
    assert copied["z"] < -10
    assert copied["p_value"] < 1e-10
    assert copied["copies"] == 0
    exact = measured(train[:100], train, held_out)
    assert (exact["copies"], exact["copies_held_out"], exact["farther"]) == (1, 0, 0)


def test_broad_samples_are_too_far():
    found = measured(3 * points(300, "x"), points(300, "train"), points(300, "held out"))
    assert found["z"] > 10
    assert found["p_value"] > 0.99


def test_z_of_equal_distributions_is_standard_normal():
    z = [measured(points(80, i), points(80, "t", i), points(80, "h", i))["z"] for i in range(200)]
    assert torch.tensor(z).mean().abs() < 0.25
    # both sides share their training data: the z-values vary as those of independent sets would
    assert 0.8 < torch.tensor(z).std() < 1.25


def test_training_data_are_needed():
    metric = Memorisation()
    metric.update(points(9, "x"), real=False)
    metric.update(points(9, "y"), real=True)
    with pytest.raises(UsageError, match="needs training data"):
        metric.compute()
