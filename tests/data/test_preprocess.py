import math

import numpy as np
import pytest
import torch

from genlab.contracts import Support, UsageError
from genlab.data import Arrays, AsIs, Bernoulli, Levels, Source, Standardise, Threshold, digits
from genlab.data.images import Digits


class Given(Source):
    """These arrays, in every split."""

    def __init__(self, x: np.ndarray, levels: int | None = None) -> None:
        super().__init__("given", x.shape[1:], levels)
        self.x = x

    def read(self, split: str) -> Arrays:
        return Arrays(self.x)


def test_threshold_is_ink_at_its_own_level():
    x = np.arange(17, dtype=np.uint8)[:, None]
    assert Threshold(8).values(Given(x, 17), "train")[:, 0].tolist() == [0] * 8 + [1] * 9


@pytest.mark.parametrize("at", [0, -1, 17])
def test_a_threshold_outside_the_levels_is_refused(at):
    with pytest.raises(UsageError, match="must lie in 1 … 16, the levels of digits"):
        digits(preprocess=Threshold(at))


def test_a_threshold_of_real_numbers():
    x = np.array([[0.4], [0.5]], np.float32)
    assert Threshold(0.5).values(Given(x), "train").tolist() == [[0], [1]]
    assert Threshold(0.5).variant(Given(x)) == "threshold 0.5"


def test_levels_are_fractions_of_the_top():
    data = digits(preprocess=Levels())
    x = data.dataset("train")[torch.arange(1300)].x
    assert data.spec.contains(x)
    assert (x.min(), x.max()) == (0, 1)
    assert torch.equal((x * 16).round().byte(), data.dataset("train").values)


@pytest.mark.parametrize("preprocess", [AsIs(), Levels(), Bernoulli()])
def test_discrete_preprocesses_refuse_real_numbers(preprocess):
    with pytest.raises(UsageError, match=r"use genlab\.data\.Standardise"):
        preprocess.check(Given(np.zeros((3, 2), np.float32)))


def test_only_binary_data_are_taken_as_they_are():
    with pytest.raises(UsageError, match="digits has 17 levels"):
        digits(preprocess=AsIs())


def test_bernoulli_draws_ink_with_the_grey_value():
    source = Given(np.repeat(np.arange(17, dtype=np.uint8)[None], 20_000, 0), 17)
    mean = Bernoulli().values(source, "train").double().mean(0)
    torch.testing.assert_close(mean, torch.arange(17).double() / 16, atol=0.015, rtol=0)
    assert mean[0] == 0
    assert mean[16] == 1


def test_bernoulli_leaves_binary_data_alone():
    bits = np.random.default_rng(0).integers(0, 2, (50, 3), dtype=np.uint8)
    assert (Bernoulli().values(Given(bits, 2), "train").numpy() == bits).all()


def test_training_data_are_redrawn_by_seed_and_epoch_alone():
    def epoch(number: int, seed: int = 0) -> torch.Tensor:
        dataset = digits(preprocess=Bernoulli(seed)).dataset("train")
        dataset.set_epoch(number)
        return dataset.values

    walked = digits(preprocess=Bernoulli()).dataset("train")
    for number in (1, 2, 3):
        walked.set_epoch(number)
    assert torch.equal(walked.values, epoch(3))
    assert not torch.equal(epoch(3), epoch(2))
    assert not torch.equal(epoch(3), epoch(3, seed=1))


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_and_test_data_are_drawn_once(split):
    data = digits(preprocess=Bernoulli())
    before = data.dataset(split).values.clone()
    data.dataset(split).set_epoch(5)
    assert torch.equal(data.dataset(split).values, before)
    assert torch.equal(digits(preprocess=Bernoulli()).dataset(split).values, before)


def test_another_seed_of_the_binarisation_is_another_variant():
    assert Bernoulli().variant(Digits()) == "dynamic"
    assert Bernoulli(3).variant(Digits()) == "dynamic, seed 3"


def test_one_reader_of_the_training_data_does_not_redraw_anothers():
    data = digits(preprocess=Bernoulli())
    mine, theirs = data.dataset("train"), data.dataset("train")
    before = mine.values.clone()
    theirs.set_epoch(1)
    assert torch.equal(mine.values, before)


def test_log_scale_is_the_sum_of_log_sigma():
    """x = ±a has σ = a, so two entries with a = 2 and 5 have log_scale = log 10."""
    source = Given(np.array([[2, -5], [-2, 5]], np.float32) + 7)
    assert Standardise().log_scale(source) == pytest.approx(math.log(10))
    assert Standardise().values(source, "test").tolist() == [[1, -1], [-1, 1]]


def test_densities_change_by_log_scale():
    """log N(x; m, s) = log N(z; 0, 1) - log_scale, for each datum."""
    x = np.random.default_rng(0).normal(3, 2, (1000, 4)).astype(np.float32)
    source, way = Given(x), Standardise()
    mean, sigma = (torch.from_numpy(m) for m in way.moments(source))
    raw = torch.distributions.Normal(mean, sigma).log_prob(torch.from_numpy(x)).sum(1)
    standard = torch.distributions.Normal(0, 1).log_prob(way.values(source, "train")).sum(1)
    torch.testing.assert_close(standard.double() - way.log_scale(source), raw, atol=1e-4, rtol=0)


def test_a_constant_entry_cannot_be_standardised():
    with pytest.raises(UsageError, match=r"entry \(0, 0, 0\) is constant"):
        _ = digits(preprocess=Standardise()).spec
    assert Standardise.support is Support.REAL
