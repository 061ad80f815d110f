"""The historical Parzen window: closed form, references beside every number, the known value of MNIST."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch

from genlab.contracts import Guarantee, Measure, UsageError
from genlab.data import mnist
from genlab.likelihood import ParzenDensity, evaluate
from genlab.likelihood.bandwidth import choose_width
from genlab.likelihood.kernels import Gaussian
from genlab.likelihood.parzen import WIDTHS
from genlab.randomness import generator
from genlab.training import TrainerSettings
from tests.likelihood.memory import Given, Memory, bits, greys, random, reals

needs_mnist = pytest.mark.skipif(
    "GENLAB_DATA" not in os.environ, reason="MNIST is read from GENLAB_DATA"
)
NOISE = torch.Generator().manual_seed(0)
SPEC = greys(8, 17)
SPLITS = {name: random(seed, 200, SPEC) for seed, name in enumerate(("train", "val", "test"))}


def prepared(model: Memory, data: Given, **settings) -> ParzenDensity:
    parzen = ParzenDensity(model, **settings)
    parzen.prepare(data, generator=generator("prepare", 0))
    return parzen


def test_one_sample_is_a_gaussian_around_it():
    """Every sample, training image and centroid is the same point: three times the closed form."""
    spec = greys(6, 256)
    point = torch.full((1, 6), 102 / 255)
    near = point + 0.2 * random(3, 300, reals(6))
    data = Given(spec, train=point.expand(50, 6), val=near[:150])
    parzen = prepared(Memory(spec, point), data, n=20)
    result = parzen(near[150:], generator=NOISE)
    sigma = parzen.width[0]
    assert float(sigma) == pytest.approx(0.2, abs=0.02)
    normal = torch.distributions.Normal(point.double(), sigma)
    expected = normal.log_prob(near[150:].double()).sum(1)
    torch.testing.assert_close(result.nats, expected)
    for name in ("training images", "k-means centroids"):
        torch.testing.assert_close(result.diagnostics[f"reference: {name}"], expected)


def test_a_density_that_promises_nothing_with_n_and_sigma_in_its_words():
    parzen = prepared(Memory(SPEC, SPLITS["train"]), Given(SPEC, **SPLITS), n=100)
    result = parzen(SPLITS["test"], generator=NOISE)
    assert (result.guarantee, result.measure) == (Guarantee.ESTIMATE, Measure.DENSITY)
    assert result.method == f"Gaussian Parzen window of n=100 samples, σ={float(parzen.width[0]):g}"


def test_training_images_score_as_samples_do():
    """A model whose samples are all training images, each once, gets the number of its reference."""
    parzen = prepared(Memory(SPEC, SPLITS["train"]), Given(SPEC, **SPLITS), n=200)
    kernel = Gaussian(SPLITS["train"])
    width = choose_width(kernel, SPLITS["val"], WIDTHS, "training images")
    expected = kernel.log_mixture(SPLITS["test"], [width])[0]
    found = parzen(SPLITS["test"], generator=NOISE).diagnostics
    torch.testing.assert_close(found["reference: training images"], expected)
    assert found["width, training images"] == width
    assert found["n, training images"] == 200


@pytest.mark.parametrize(("settings", "n"), [({}, 40), ({"centroids": 7}, 7), ({"n": 30}, 30)])
def test_how_many_centroids(settings, n):
    """By default as many as samples, but five training data for each at least."""
    parzen = prepared(Memory(SPEC, SPLITS["train"]), Given(SPEC, **SPLITS), **settings)
    assert parzen(SPLITS["test"], generator=NOISE).diagnostics["n, k-means centroids"] == n


def test_one_centroid_is_the_mean_of_all_training_data():
    settings = {"n": 150, "centroids": 1}
    parzen = prepared(Memory(SPEC, SPLITS["train"]), Given(SPEC, **SPLITS), **settings)
    found = parzen(SPLITS["test"], generator=NOISE).diagnostics["reference: k-means centroids"]
    mean = SPLITS["train"].mean(0, keepdim=True)
    expected = Gaussian(mean).log_mixture(SPLITS["test"], [float(parzen.width[2])])[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_references_are_averaged_into_a_score_on_two_processes_too(tmp_path):
    found = {}
    for devices, strategy in ((1, "auto"), (2, "ddp_fork")):
        model, path = Memory(SPEC, SPLITS["train"]), tmp_path / f"{devices}.npz"
        trainer = TrainerSettings(accelerator="cpu", devices=devices, strategy=strategy)

        def write(scored, path=path):
            kept = {k: v for k, v in scored.diagnostics.items() if isinstance(v, np.ndarray)}
            shown = scored.summary()["diagnostics"]
            assert all(shown[k] == v.mean() for k, v in kept.items())
            np.savez(path, nats=scored.nats, **kept)

        parzen, data = ParzenDensity(model, n=150), Given(SPEC, **SPLITS)
        evaluate(model, parzen, data, "test", trainer.trainer([]), seed=1, write=write)
        found[devices] = dict(np.load(path))
    assert set(found[1]) == {"nats", "reference: training images", "reference: k-means centroids"}
    for name, values in found[1].items():
        assert np.array_equal(values, found[2][name])


@pytest.mark.parametrize("spec", [bits(5), reals(5)], ids=lambda s: s.name)
def test_refused_where_there_are_no_greys(spec):
    with pytest.raises(
        UsageError, match=r"needs data of grey levels.*likelihood=window would work"
    ):
        ParzenDensity(Memory(spec, random(0, 5, spec)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n": 0}, "n=0 must be"),
        ({"rows": 0}, "rows=0 must be"),
        ({"centroids": 0}, "centroids=0 must be"),
        ({"widths": (0.3, 0.2, 0.1)}, "increasing numbers above 0"),
        ({"widths": (0.1, 0.2, math.inf)}, "increasing numbers above 0"),
    ],
)
def test_settings_are_checked_when_it_is_built(settings, says):
    with pytest.raises(UsageError, match=says):
        ParzenDensity(Memory(SPEC, SPLITS["train"]), **settings)


def test_the_reference_whose_width_is_at_the_edge_is_named():
    """Samples are wide of the data, training images are not."""
    splits = {name: x * 0.5 for name, x in SPLITS.items()}
    data = Given(SPEC, train=splits["train"], val=splits["train"] + 1e-3, test=splits["test"])
    with pytest.raises(UsageError, match="for the training images, is at the edge of the grid"):
        prepared(Memory(SPEC, SPLITS["train"]), data, n=200)


def images(split: str, step: int = 1) -> torch.Tensor:
    dataset = mnist().dataset(split)
    return dataset[torch.arange(0, len(dataset), step)].x.flatten(1)


def parzen_of_training_images(train: torch.Tensor, widths: list[float], step: int = 1):
    """σ chosen on every step-th validation image, and the mean nats of every step-th test image."""
    kernel = Gaussian(train)
    sigma = choose_width(kernel, images("val", step), widths, "training images")
    return sigma, kernel.log_mixture(images("test", step), [sigma]).mean().item()


@needs_mnist
def test_a_thousand_training_images_of_mnist():
    """124.2 nats at σ = 0.20; another thousand would be up to 15 nats away."""
    chosen = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))[:1000]
    train = images("train")[chosen]
    sigma, nats = parzen_of_training_images(train, [0.16, 0.18, 0.20, 0.22, 0.24], 4)
    assert sigma == 0.20
    assert nats == pytest.approx(124.2, abs=3)


@needs_mnist
@pytest.mark.slow
def test_ten_thousand_training_images_of_mnist():
    """243.8 ± 2.0 nats (351.7 bits) at σ = 0.17: the "perfect model" of the tables of 2015."""
    sigma, nats = parzen_of_training_images(
        images("train")[:10_000], [0.15, 0.16, 0.17, 0.18, 0.19]
    )
    assert sigma == 0.17
    assert nats == pytest.approx(243.8, abs=2)
