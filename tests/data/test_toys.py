import pytest
import torch

from genlab.contracts import Support, UsageError
from genlab.data import toy2d
from genlab.data.toys import SHAPES


@pytest.mark.parametrize("name", SHAPES)
def test_toys_are_keyed_by_their_seed(name):
    points = toy2d(name, n=500).dataset("train").values
    assert points.shape == (500, 2)
    assert (toy2d(name, n=500).dataset("train").values == points).all()
    assert not torch.equal(toy2d(name, n=500, seed=1).dataset("train").values, points)
    assert not torch.equal(toy2d(name, n=500).dataset("test").values, points)


@pytest.mark.parametrize("name", SHAPES)
def test_toys_are_standardised_and_labelled(name):
    data = toy2d(name, n=2000)
    x = data.dataset("train").values
    torch.testing.assert_close(x.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(2))
    assert (data.spec.support, data.spec.levels, data.spec.classes) == (
        Support.REAL,
        None,
        SHAPES[name][1],
    )
    label = data.dataset("train").label
    assert (
        label is None
        if not data.spec.classes
        else set(label.tolist()) == set(range(data.spec.classes))
    )


def test_eight_gaussians_have_their_variance():
    """Each coordinate: 2.8² / 2 of the circle and 0.35² of a Gaussian."""
    data = toy2d("eight_gaussians", n=100_000)
    sigma = data.preprocess.moments(data.source)[1]
    assert sigma**2 == pytest.approx([2.8**2 / 2 + 0.35**2] * 2, rel=0.01)


def test_unknown_toys_and_too_few_points_are_usage_errors():
    with pytest.raises(UsageError, match="did you mean 'swiss_roll'"):
        toy2d("swissroll")
    with pytest.raises(UsageError, match="n=1 "):
        toy2d(n=1)


def test_validation_and_test_are_a_fifth():
    data = toy2d(n=100)
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [100, 20, 20]
