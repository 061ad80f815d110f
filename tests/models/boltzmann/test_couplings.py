"""Machines of all kinds of units, their paths and their loss, against sums over fine grids."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genlab.contracts import UsageError
from genlab.likelihood.annealing import anneal, log_mean_exp, schedule
from genlab.models.boltzmann import BaseRatePath, RestrictedBoltzmann
from genlab.models.boltzmann.energy import contrast
from genlab.models.boltzmann.units import Bernoulli, Gaussian, Joint, Rectified, Softmax
from genlab.testing.statistics import chi2_sf, g_test
from tests.models.boltzmann.grids import PAIRS, codes, grid, joint, machine_of, masses

DRAWS = 20_000
kinds = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exact(machine: RestrictedBoltzmann, n: int, seed: int = 0) -> Tensor:
    """(n, D) from the grid of v."""
    v, _ = grid(machine.visible_units)
    p = joint(machine).logsumexp(1).softmax(0)
    return v[torch.multinomial(p, n, replacement=True, generator=seeded(seed))]


def base_of(machine: RestrictedBoltzmann) -> Tensor:
    return torch.linspace(-0.8, 0.6, machine.visible_units.size, dtype=torch.float64)


def path_of(machine: RestrictedBoltzmann) -> BaseRatePath:
    return BaseRatePath(machine.couplings().copy(), base_of(machine))


@kinds
def test_free_energy_and_partition_function(pair):
    machine = machine_of(*pair)
    v, _ = grid(machine.visible_units)
    log_f = joint(machine)
    own = machine.visible_units.energy(v)
    _, weight = grid(machine.visible_units)
    expected = log_f.logsumexp(1) - weight - own
    assert torch.allclose(-machine.free_energy(v), expected, atol=1e-3)
    if machine.summable is not None:
        assert machine.log_z() == pytest.approx(float(log_f.flatten().logsumexp(0)), abs=1e-3)


def test_which_machines_can_be_summed():
    assert {name: machine_of(*pair).summable for name, pair in PAIRS.items()} == {
        "bits, bits": 2,
        "bits, gaussian": 3,
        "bits, rectified": 3,
        "gaussian, bits": 2,
        "bits and label, bits": 2,
        "bits and label, gaussian": None,
        "bits and label, rectified": None,
        "gaussian and label, bits": 2,
    }


@kinds
def test_conditionals_keep_the_distribution(pair):
    """From exact draws of v: h given v, v given that h, and v after more sweeps."""
    machine = machine_of(*pair)
    log_p, plain = joint(machine), machine.couplings()
    (v, _), (h, _) = grid(machine.visible_units), grid(machine.hidden_units)
    p, q = masses(v, log_p.logsumexp(1)), masses(h, log_p.logsumexp(0))
    generator = seeded(1)
    start = exact(machine, DRAWS)
    above = plain.hidden_given(start, generator)
    assert g_test(torch.bincount(codes(above), minlength=len(q)), q) > 1e-3
    below = plain.visible_given(above, generator)
    assert g_test(torch.bincount(codes(below), minlength=len(p)), p) > 1e-3
    later = plain.gibbs(below, 2, generator)
    assert g_test(torch.bincount(codes(later), minlength=len(p)), p) > 1e-3


@kinds
def test_draws_from_a_table_are_exact(pair):
    machine = machine_of(*pair)
    if machine.summable is None:
        return
    v, _ = grid(machine.visible_units)
    p = masses(v, joint(machine).logsumexp(1))
    drawn = machine.draw(DRAWS, generator=seeded(2))
    assert g_test(torch.bincount(codes(drawn), minlength=len(p)), p) > 1e-3


@kinds
def test_expected_visible_units_are_means_of_draws(pair):
    machine = machine_of(*pair)
    plain = machine.couplings()
    h, _ = grid(machine.hidden_units)
    given = h[[len(h) // 3, -1 - len(h) // 4]]
    mean = plain.visible_mean(given)
    drawn = plain.visible_given(given.repeat_interleave(DRAWS, 0), seeded()).view(2, DRAWS, -1)
    error = drawn.std(1) / DRAWS**0.5 + 1e-3
    assert ((drawn.mean(1) - mean).abs() < 4 * error).all()


@kinds
@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_path_is_the_mixture_of_energies(pair, beta):
    machine = machine_of(*pair)
    path = path_of(machine)
    v, weight = grid(machine.visible_units)
    found = path.log_f(path.state(v), beta) + weight + machine.visible_units.energy(v)
    log_f = joint(machine, beta, base_of(machine)).logsumexp(1)
    assert torch.allclose(found, log_f, atol=1e-3)
    if beta == 0:
        assert path.log_z0 == pytest.approx(float(log_f.logsumexp(0)), abs=1e-3)


@kinds
@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_transitions_are_reversible(pair, beta):
    """From exact draws at beta, (v, v') and (v', v) are equally frequent, and v' is as frequent as v."""
    machine = machine_of(*pair)
    path = path_of(machine)
    v, _ = grid(machine.visible_units)
    log_f = joint(machine, beta, base_of(machine)).logsumexp(1)
    rows = torch.multinomial(log_f.softmax(0), DRAWS, replacement=True, generator=seeded())
    before = v[rows]
    after = path.transition(path.state(before), beta, generator=seeded(1))[0]
    p = masses(v, log_f)
    assert g_test(torch.bincount(codes(after), minlength=len(p)), p) > 1e-3
    n = len(p)
    pairs = torch.bincount(n * codes(before) + codes(after), minlength=n * n).view(n, n).double()
    there, back = pairs.triu(1), pairs.T.triu(1)
    total = there + back
    common = total >= 10
    statistic = float(((there - back).square()[common] / total[common]).sum())
    assert chi2_sf(statistic, int(common.sum())) > 1e-3


@kinds
def test_annealing_is_unbiased_from_both_ends(pair):
    machine = machine_of(*pair)
    path = path_of(machine)
    log_z = float(joint(machine).flatten().logsumexp(0))
    betas = schedule(((1.0, 10),))
    log_w, _ = anneal(path, betas, path.start(DRAWS, generator=seeded(3)), seeded(4))
    start = path.state(exact(machine, DRAWS, seed=5))
    back, _ = anneal(path, betas[::-1], start, seeded(6))
    for weight in (
        (path.log_z0 + log_w - log_z).exp(),
        (back + log_z - path.log_z0).exp(),
    ):
        error = float(weight.std()) / DRAWS**0.5
        assert error < 0.1
        assert float(weight.mean()) == pytest.approx(1, abs=3 * error + 2e-3)


@kinds
def test_annealing_without_weights_is_exact(pair):
    """From the machine's own biases every chain has the same weight."""
    machine = machine_of(*pair)
    machine.weight.zero_()
    path = BaseRatePath(machine.couplings(), machine.visible)
    betas = schedule(((1.0, 20),))
    log_w, _ = anneal(path, betas, path.start(50, generator=seeded()), seeded(1))
    if machine.hidden_units.binary:
        assert path.log_z0 + float(log_w.mean()) == pytest.approx(machine.log_z(), abs=1e-9)
    assert float(log_w.std()) < 1e-12


LARGER = [
    (Gaussian(12), Bernoulli(10)),
    (Bernoulli(10), Gaussian(12)),
    (Bernoulli(9), Rectified(12)),
]


@pytest.mark.parametrize(
    "pair", LARGER, ids=["gaussian, bits", "bits, gaussian", "bits, rectified"]
)
def test_annealing_finds_the_exact_partition_function(pair):
    """Of machines that are summed over 2^10 or 2^9 states."""
    machine = machine_of(*pair)
    machine.weight *= 0.5
    path = path_of(machine)
    betas = schedule(((1.0, 1000),))
    log_w, _ = anneal(path, betas, path.start(100, generator=seeded()), seeded(1))
    assert path.log_z0 + float(log_mean_exp(log_w)) == pytest.approx(machine.log_z(), abs=0.15)
    start = path.end(100, generator=seeded(2))
    assert start is not None
    back, _ = anneal(path, betas[::-1], start, seeded(3))
    assert path.log_z0 - float(log_mean_exp(back)) == pytest.approx(machine.log_z(), abs=0.15)


# ------------------------------------------------------------------------------------------------ learning


@kinds
def test_gradient_of_the_contrast_is_that_of_the_free_energies(pair):
    """With respect to weights, biases and the data, centred, and scaled by what comes after."""
    machine = machine_of(*pair).requires_grad_(True)
    data = exact(machine, 5, seed=1).detach().requires_grad_(True)
    fantasy = exact(machine, 3, seed=2).detach()
    wanted = [*machine.parameters(), data]
    free = 1.7 * (machine.free_energy(data).mean() - machine.free_energy(fantasy).mean())
    expected = torch.autograd.grad(free, wanted)
    with torch.no_grad():
        plain = machine.couplings()
        z, fantasy_z = plain.activation(data), plain.activation(fantasy)
    value = 1.7 * contrast(machine, plain, (data, z), (fantasy, fantasy_z))
    found = torch.autograd.grad(value, wanted)
    assert float(value.detach()) == pytest.approx(float(free.detach()), abs=1e-9)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)
        assert ours.abs().max() > 1e-3


def test_gradient_of_the_contrast_is_that_of_finite_differences():
    machine = machine_of(*PAIRS["gaussian, bits"]).requires_grad_(True)
    data, fantasy = exact(machine, 4, seed=1), exact(machine, 3, seed=2)

    def value(weight: Tensor, visible: Tensor, hidden: Tensor, data: Tensor) -> Tensor:
        machine.weight.data, machine.visible.data = weight.data, visible.data
        machine.hidden.data = hidden.data
        with torch.no_grad():
            plain = machine.couplings()
            z, fantasy_z = plain.activation(data), plain.activation(fantasy)
        return contrast(machine, plain, (data, z), (fantasy, fantasy_z))

    found = torch.autograd.grad(
        value(machine.weight, machine.visible, machine.hidden, data.requires_grad_(True)),
        [machine.weight, machine.visible, machine.hidden, data],
    )
    given = [t.detach().clone() for t in (machine.weight, machine.visible, machine.hidden, data)]
    for which, gradient in enumerate(found):
        for i in range(gradient.numel()):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [t.clone() for t in given]
                moved[which].view(-1)[i] += step
                ends.append(float(value(*moved).detach()))
            slope = (ends[0] - ends[1]) / 2e-5
            assert float(gradient.flatten()[i]) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("hidden", [Gaussian(2), Rectified(2)])
@pytest.mark.parametrize("visible", [Gaussian(3), Joint([Gaussian(3), Softmax(2)])])
def test_two_unbounded_sides_are_refused(visible, hidden):
    with pytest.raises(UsageError, match="take Bernoulli hidden units"):
        RestrictedBoltzmann(visible, hidden)
