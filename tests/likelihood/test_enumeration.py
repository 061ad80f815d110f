"""Enumeration against sums over all data."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from genlab.contracts import DataSpec, Guarantee, Measure, Support, UsageError
from genlab.likelihood import Enumerated, auto
from genlab.models.boltzmann import RBM
from tests.models.boltzmann.rbm import random_machine
from tests.testing.honest import Factorised
from tests.training.small import Bits

BITS = Bits()


class Uncertain(RBM):
    """The energy with noise of mean one on exp(−F): a bound after the logarithm."""

    unnormalised = Guarantee.LOWER_BOUND

    def log_unnormalised(self, x, k=1, *, generator):
        noise = torch.randn(k, len(x), generator=generator)
        return super().log_unnormalised(x, k, generator=generator) + noise - 0.5


def machine(kind: type[RBM] = RBM, hidden: int = 3) -> RBM:
    """Of four bits, with random weights."""
    model = kind(BITS.spec, hidden)
    model.machine = random_machine(4, hidden).float()
    return model.eval()


def every_datum() -> torch.Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=4)))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prepared(model: RBM, **settings) -> Enumerated:
    estimator = Enumerated(model, **settings)
    estimator.prepare(BITS, generator=noise())
    return estimator


def test_probabilities_sum_to_one_and_are_those_of_the_energy():
    model = machine()
    result = prepared(model)(every_datum(), generator=noise())
    assert float(result.nats.exp().sum()) == pytest.approx(1, abs=1e-6)
    expected = -model.machine.free_energy(every_datum()) - model.machine.log_z()
    assert torch.allclose(result.nats, expected.double(), atol=1e-6)
    assert result.guarantee is Guarantee.EXACT
    assert result.measure is Measure.MASS
    assert result.diagnostics["log_z"] == pytest.approx(model.machine.log_z())


def test_draws_of_an_uncertain_energy_are_averaged():
    """Below log p(x) in expectation, by half the variance at k = 1, and by less for more draws."""
    model, x = machine(Uncertain), every_datum().repeat(500, 1)
    exact = prepared(machine())(x, generator=noise()).nats
    below = []
    for k in (1, 20, 120):
        result = prepared(model, k=k)(x, generator=noise(k))
        assert result.guarantee is Guarantee.LOWER_BOUND
        below.append((exact - result.nats).mean().item())
    assert below[0] == pytest.approx(0.5, abs=0.05)
    assert below[1] == pytest.approx((2.71828 - 1) / 40, abs=0.01)
    assert below[2] == pytest.approx((2.71828 - 1) / 240, abs=0.005)


def test_bad_settings_are_one_line():
    with pytest.raises(UsageError, match=r"^k=0 must be at least 1"):
        Enumerated(machine(), k=0)
    with pytest.raises(UsageError, match="leave the label out"):
        prepared(machine())(every_datum(), label=torch.zeros(16), generator=noise())
    with pytest.raises(UsageError, match=r"which Factorised on .* lacks: likelihood=exact"):
        Enumerated(Factorised(BITS.spec))
    large = RBM(DataSpec("bits", "made up", (30,), Support.BINARY), hidden=26)
    with pytest.raises(UsageError, match=r"at most 25 binary units .* likelihood=ais"):
        Enumerated(large)


def test_auto_sums_where_it_can_and_anneals_where_it_cannot():
    assert auto(machine()).name == "enumerate"
    large = RBM(DataSpec("bits", "made up", (30,), Support.BINARY), hidden=26)
    assert auto(large).name == "ais"
