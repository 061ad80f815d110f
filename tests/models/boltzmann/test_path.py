"""The annealing path against sums over all states."""

from __future__ import annotations

import pytest
import torch

from genlab.models.boltzmann import BaseRatePath, Bernoulli, RestrictedBoltzmann
from genlab.models.boltzmann.chains import SAMPLERS
from genlab.testing.statistics import chi2_sf, g_test
from tests.models.boltzmann.rbm import random_machine
from tests.models.boltzmann.test_energy import codes, table

N = 50_000


def path_of(machine) -> BaseRatePath:
    rates = torch.linspace(-2, 1, len(machine.visible), dtype=torch.float64)
    return BaseRatePath(machine.couplings().copy(), rates)


def test_ends_are_the_base_rates_and_the_machine():
    machine = random_machine(5, 7)
    path = path_of(machine)
    state = path.state(table(5))
    start = path.log_f(state, 0.0)
    assert path.log_z0 == pytest.approx(float(start.logsumexp(0)), abs=1e-7)
    assert torch.allclose(start - start[0], table(5) @ path.base)
    assert torch.allclose(path.log_f(state, 1.0), -machine.free_energy(table(5)))


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_transitions_leave_each_temperature_as_it_is_and_are_reversible(beta):
    """From exact draws at beta, (v, v') and (v', v) are equally frequent, and v' is as frequent as v."""
    machine = random_machine(3, 4)
    path = path_of(machine)
    p = path.log_f(path.state(table(3)), beta).softmax(0)
    generator = torch.Generator().manual_seed(0)
    before = torch.multinomial(p, N, replacement=True, generator=generator)
    after = codes(path.transition(path.state(table(3)[before]), beta, generator=generator)[0])
    assert g_test(torch.bincount(after, minlength=8), p) > 1e-3
    pairs = torch.bincount(8 * before + after, minlength=64).view(8, 8).double()
    there, back = pairs.triu(1), pairs.T.triu(1)
    total = (there + back).clamp(min=1)
    assert chi2_sf(float(((there - back).square() / total).sum()), 28) > 1e-3
    assert (after != before).double().mean() > 0.3


def test_starts_and_ends_are_drawn_from_the_ends():
    machine = random_machine(4, 3)
    path = path_of(machine)
    generator = torch.Generator().manual_seed(0)
    for state, beta in [
        (path.start(N, generator=generator), 0.0),
        (path.end(N, generator=generator), 1.0),
    ]:
        p = path.log_f(path.state(table(4)), beta).softmax(0)
        assert g_test(torch.bincount(codes(state[0]), minlength=16), p) > 1e-3


def test_machine_too_large_to_sum_has_no_exact_end():
    machine = random_machine(30, 40)
    path = BaseRatePath(machine.couplings(), torch.zeros(30))
    assert path.end(3, generator=torch.Generator()) is None


def test_path_keeps_the_machine_as_it_was():
    machine = random_machine(4, 3)
    path = path_of(machine)
    before = path.log_f(path.state(table(4)), 0.7)
    drawn = path.end(50, generator=torch.Generator().manual_seed(0))[0]
    for parameter in machine.parameters():
        parameter.add_(1.0)
    assert torch.equal(path.log_f(path.state(table(4)), 0.7), before)
    assert torch.equal(path.end(50, generator=torch.Generator().manual_seed(0))[0], drawn)


def test_base_rates_count_half_a_datum_more_of_each_value():
    x = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert torch.allclose(Bernoulli(3).natural(x).sigmoid(), torch.tensor([3.5, 0.5, 1.5]) / 4)


def test_training_never_waits_for_a_number():
    """No negative phase turns a tensor into a float, for which a GPU would have to be waited for."""
    with torch.device("meta"):
        machine, v = RestrictedBoltzmann(5, 3), torch.zeros(4, 5)
    plain = machine.couplings()
    for sampler in SAMPLERS.values():
        fantasy = sampler(2, None).negative(plain, v, plain.activation(v), machine.base)
        assert fantasy.device.type == "meta"
