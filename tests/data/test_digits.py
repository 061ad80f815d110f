import numpy as np
import pytest
import torch

from genlab.contracts import Support
from genlab.data import Bernoulli, Threshold, digits
from genlab.data.images import DIGITS_ROWS, Digits
from genlab.nn.heads import Bernoulli as BernoulliHead


def test_the_embedded_digits_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    with np.load(Digits.FILE, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    theirs = datasets.load_digits()
    assert images.dtype == labels.dtype == np.uint8
    assert (images == theirs.images).all()
    assert (labels == theirs.target).all()


def test_the_embedded_file_is_small():
    assert Digits.FILE.stat().st_size <= 46 * 1024


def test_the_splits_are_a_permutation_of_all_rows():
    source = Digits()
    sizes = [len(source.arrays(split).x) for split in DIGITS_ROWS]
    rows = np.concatenate([source.arrays(split).x for split in DIGITS_ROWS])
    assert sizes == [1300, 200, 297]
    with np.load(Digits.FILE) as file:
        assert sorted(row.tobytes() for row in rows) == sorted(
            image.tobytes() for image in file["images"]
        )


def test_independent_pixels_reach_the_reference_likelihood():
    """25.22 nats: half-count smoothing, ink where at least 8 of 16, genlab's split."""
    data = digits(preprocess=Threshold(8))
    train, test = (data.dataset(s)[torch.arange(len(data.dataset(s)))].x for s in ("train", "test"))
    head = BernoulliHead()
    theta = head.marginal(train).expand(*test.shape, 1)
    nats = head.log_prob(test, theta).flatten(1).sum(1).mean()
    assert nats.item() == pytest.approx(-25.218, abs=0.001)


def test_the_specs_say_what_the_digits_are():
    grey, binary = digits().spec, digits(preprocess=Threshold(8)).spec
    assert (grey.name, grey.variant, grey.shape, grey.levels) == (
        "digits",
        "17 levels",
        (1, 8, 8),
        17,
    )
    assert (binary.variant, binary.support, binary.classes) == ("threshold 8", Support.BINARY, 10)
    assert digits(preprocess=Bernoulli()).spec.variant == "dynamic"
