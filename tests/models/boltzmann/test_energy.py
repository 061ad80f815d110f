"""The energy against sums over all states of both sides."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from genlab.models.boltzmann import Bernoulli, RestrictedBoltzmann, states
from genlab.models.boltzmann.units import bernoulli
from genlab.testing.statistics import g_test
from tests.models.boltzmann.rbm import random_machine

DRAWS = 20_000


def table(units: int) -> torch.Tensor:
    return torch.tensor(list(product((0.0, 1.0), repeat=units)), dtype=torch.float64)


def joint(machine: RestrictedBoltzmann) -> torch.Tensor:
    """(2^D, 2^H) −E(v, h), term by term."""
    v, h = table(len(machine.visible)), table(len(machine.hidden))
    plain = machine.couplings()
    return v @ plain.weight.T @ h.T + (v @ plain.visible)[:, None] + h @ plain.hidden


def codes(bits: torch.Tensor) -> torch.Tensor:
    places = 2 ** torch.arange(bits.shape[1] - 1, -1, -1)
    return (bits.long() * places).sum(1)


def test_partition_function_is_the_same_from_both_sides():
    machine = random_machine(13, 10)
    weight, visible, hidden = machine.weight, machine.visible, machine.hidden
    by_hidden = states.log_weights(weight, hidden, visible, Bernoulli(13)).logsumexp(0)
    by_visible = states.log_weights(weight.T, visible, hidden, Bernoulli(10)).logsumexp(0)
    assert float(by_hidden - by_visible) == pytest.approx(0, abs=1e-10)
    assert machine.log_z() == pytest.approx(float(by_visible), abs=1e-10)


@pytest.mark.parametrize(("size", "hidden"), [(5, 4), (4, 5), (9, 1), (1, 9)])
def test_sums_agree_with_the_joint_distribution(size, hidden):
    machine = random_machine(size, hidden)
    log_f = joint(machine)
    assert torch.allclose(-machine.free_energy(table(size)), log_f.logsumexp(1), atol=1e-7)
    assert machine.log_z() == pytest.approx(float(log_f.flatten().logsumexp(0)), abs=1e-10)


def test_the_smaller_side_is_summed_over():
    machine = random_machine(3, 40)
    expected = -machine.free_energy(table(3))
    assert machine.log_z() == pytest.approx(float(expected.logsumexp(0)), abs=1e-9)
    assert machine.draw(5, generator=torch.Generator().manual_seed(0)).shape == (5, 3)


def test_log_weights_come_in_the_order_of_codes():
    machine = random_machine(9, 12)
    found = states.log_weights(
        machine.weight.T, machine.visible, machine.hidden, machine.hidden_units
    )
    assert torch.allclose(found, -machine.free_energy(table(9)), atol=1e-6)
    assert torch.equal(states.codes_to_bits(torch.arange(2**9), 9), table(9))


def test_units_that_are_almost_always_on_lose_no_digits():
    """exp(−21) of each unit is 100 times what may be lost."""
    machine = random_machine(9, 6)
    machine.visible += 21
    machine.hidden += 21
    assert machine.log_z() == pytest.approx(float(joint(machine).flatten().logsumexp(0)), abs=1e-10)


def test_strong_weights_neither_overflow_nor_lose_digits():
    machine = random_machine(12, 6, scale=300.0)
    assert machine.log_z() == pytest.approx(float(joint(machine).flatten().logsumexp(0)), rel=1e-12)


def test_without_weights_units_are_independent():
    machine = random_machine(7, 5)
    machine.weight.zero_()
    expected = F.softplus(machine.visible).sum() + F.softplus(machine.hidden).sum()
    assert machine.log_z() == pytest.approx(float(expected), abs=1e-10)


def test_no_more_units_are_summed_over_than_can_be():
    assert RestrictedBoltzmann(784, 25).summable == 25
    assert RestrictedBoltzmann(3, 500).summable == 3
    assert RestrictedBoltzmann(784, 26).summable is None


@pytest.mark.parametrize(("size", "hidden"), [(6, 3), (6, 8)])
def test_draws_are_exact_and_gibbs_steps_keep_them_so(size, hidden):
    machine = random_machine(size, hidden)
    p = joint(machine).logsumexp(1).softmax(0)
    generator = torch.Generator().manual_seed(1)
    v = machine.draw(DRAWS, generator=generator)
    assert g_test(torch.bincount(codes(v), minlength=2**size), p) > 1e-3
    h = machine.couplings().hidden_given(v, generator)
    q = joint(machine).logsumexp(0).softmax(0)
    assert g_test(torch.bincount(codes(h), minlength=2**hidden), q) > 1e-3
    v = machine.couplings().visible_given(h, generator)
    assert g_test(torch.bincount(codes(v), minlength=2**size), p) > 1e-3


def test_draws_of_a_table_follow_it():
    p = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0], dtype=torch.float64)
    drawn = states.draw(p.log() + 900, DRAWS, generator=torch.Generator().manual_seed(0))
    assert g_test(torch.bincount(drawn, minlength=6), p) > 1e-3


def test_centring_keeps_the_distribution_and_centres_the_gradient():
    machine = random_machine(5, 4)
    v, negative = table(5)[[3, 17, 21]], table(5)[[8, 30]]
    before = -machine.free_energy(table(5)) - machine.log_z()
    mu, offset = torch.rand(5).double(), torch.rand(4).double()
    machine.centre(mu, offset)
    machine.centre(0.5 * mu, 0.7 * offset)  # from offsets that are not zero
    assert torch.allclose(-machine.free_energy(table(5)) - machine.log_z(), before, atol=1e-9)

    machine.requires_grad_(True)
    (machine.free_energy(v).mean() - machine.free_energy(negative).mean()).backward()
    with torch.no_grad():
        hidden = machine.couplings().hidden

        def moment(x: torch.Tensor) -> torch.Tensor:
            h = (x @ machine.weight.T + hidden).sigmoid()
            return (h - 0.7 * offset).T @ (x - 0.5 * mu) / len(x)

        assert torch.allclose(machine.weight.grad, moment(negative) - moment(v), atol=1e-9)


def test_gradient_of_the_free_energy_is_that_of_finite_differences():
    machine = random_machine(4, 3)
    machine.centre(torch.rand(4).double(), torch.rand(3).double())
    parameters = {k: p.detach().requires_grad_() for k, p in machine.named_parameters()}

    def energy(*values: torch.Tensor) -> torch.Tensor:
        changed = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(machine, changed, (table(4),))

    machine.forward = machine.free_energy  # what functional_call calls
    assert torch.autograd.gradcheck(energy, tuple(parameters.values()), atol=1e-6)


def test_free_energy_stays_in_float32_under_mixed_precision():
    machine = random_machine(64, 32).float()
    v = (torch.rand(10, 64, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = machine.free_energy(v)
    assert torch.equal(found, machine.free_energy(v))


def test_bits_that_are_certain_are_certain_in_half_precision():
    p = torch.ones(100_000, dtype=torch.bfloat16)
    assert bernoulli(p, torch.Generator().manual_seed(0)).all()
