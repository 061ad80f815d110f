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


def test_a_roll_without_noise_is_a_line():
    """Its radius is a third of its angle, up to whole turns."""
    source = toy2d("swiss_roll", n=500, noise=0.0).source
    x = torch.from_numpy(source.arrays("train").x)
    turns = (3 * x.norm(dim=1) - torch.atan2(x[:, 1], x[:, 0])) / (2 * torch.pi)
    torch.testing.assert_close(turns, turns.round(), atol=1e-4, rtol=0)


def test_noise_is_part_of_the_variant():
    assert "noise 0.5" in toy2d("moons", noise=0.5).spec.variant
    assert "noise" not in toy2d("moons").spec.variant
    wide, own = (toy2d("moons", noise=noise).source.arrays("val").x for noise in (0.5, None))
    assert wide.std() > own.std()
    assert (toy2d("moons", noise=0.1).source.arrays("val").x == own).all()


@pytest.mark.parametrize("words", [{"noise": -1.0}, {"name": "pinwheel", "noise": 0.1}])
def test_noise_that_cannot_be_is_a_usage_error(words):
    with pytest.raises(UsageError, match="expected 0 or more, and a shape that has noise"):
        toy2d(**words)


def test_unknown_toys_and_too_few_points_are_usage_errors():
    with pytest.raises(UsageError, match="did you mean 'swiss_roll'"):
        toy2d("swissroll")
    with pytest.raises(UsageError, match="n=1 "):
        toy2d(n=1)


def test_validation_and_test_are_a_fifth():
    data = toy2d(n=100)
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [100, 20, 20]
