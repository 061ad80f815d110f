"""Negative controls: samples that are bad in a known way, and the metrics that must say so.

On the digits of 8×8 with all their levels. "Real" are the last 1,200 training images, in equal numbers on
both sides; the memoriser repeats the first 100 of them over and over. Its Fréchet distance is a fraction of
that of noise, and every diversity statistic finds it out.
"""

from __future__ import annotations

import pytest
import torch

from genlab.data import digits
from genlab.metrics import (
    C2ST,
    MMD,
    Birthday,
    DensityCoverage,
    Frechet,
    Kernel,
    Memorisation,
    PrecisionRecall,
    features_for,
)
from genlab.nn.heads import head_for
from genlab.randomness import generator

N = 1200


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """measured(samples, metric) → values, against 1,200 real digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        features = features_for(digits())
    x = images()
    train, real = x[:100], x[100:]

    def of(samples, metric):
        space = features.of if metric.space == "features" else torch.nn.Flatten()
        metric.prepare(space(train))
        metric.update(space(samples), real=False)
        metric.update(space(real), real=True)
        return metric.compute()

    return of


def images() -> torch.Tensor:
    return digits().dataset("train")[torch.arange(100 + N)].x


def memoriser() -> torch.Tensor:
    return images()[:100].repeat(N // 100, 1, 1, 1)


def noise() -> torch.Tensor:
    """Independent pixels with the marginals of the data."""
    head = head_for(digits().spec)
    theta = head.marginal(images())
    return head.sample(theta.expand(N, *theta.shape), generator("noise"))


def test_a_memoriser_has_a_good_frechet_distance(measured):
    bad, good = measured(noise(), Frechet()), measured(memoriser(), Frechet())
    assert good["distance"] < bad["distance"] / 5


def test_a_memoriser_is_caught_by_recall_and_coverage(measured):
    ball = measured(memoriser(), PrecisionRecall())
    assert ball["precision"] > 0.8
    assert ball["recall"] < 0.05
    assert measured(memoriser(), DensityCoverage())["coverage"] < 0.5


def test_a_memoriser_is_caught_by_two_sample_tests(measured):
    assert measured(memoriser(), C2ST())["p_value"] < 1e-6
    found = measured(memoriser(), MMD(permutations=99, rows=600))
    assert found["p_value_aggregated"] == pytest.approx(0.01)


def test_a_memoriser_is_caught_by_its_support_and_copies(measured):
    birthday = measured(memoriser(), Birthday())
    assert birthday["support"] == pytest.approx(100, rel=0.15)
    copies = measured(memoriser(), Memorisation())
    assert copies["copies"] == 1
    assert copies["z"] < -10


def test_noise_is_caught(measured):
    assert measured(noise(), DensityCoverage())["coverage"] < 0.1
    assert measured(noise(), C2ST())["accuracy"] > 0.9
    assert measured(noise(), Memorisation())["z"] > 10
    assert measured(noise(), MMD(permutations=99, rows=600))["p_value"] == pytest.approx(0.01)
    assert measured(noise(), Kernel())["distance"] > 5 * measured(memoriser(), Kernel())["distance"]
