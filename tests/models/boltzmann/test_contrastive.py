"""How a machine learns: chains against exact distributions, gradients against exact ones."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from scipy import stats
from torch import Tensor

from genlab.contracts import UsageError
from genlab.models.boltzmann import Contrastive, RestrictedBoltzmann
from genlab.models.boltzmann.chains import FAST_DECAY, SAMPLERS, TEMPERATURES, Fast
from genlab.models.boltzmann.units import Gaussian, Rectified
from genlab.testing.statistics import g_test
from tests.models.boltzmann.grids import PAIRS, all_bits, codes, grid, joint, machine_of, masses
from tests.models.boltzmann.rbm import random_machine

CHAINS = 4000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def _same_noise():
    """Losses draw from the default generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def log_p(machine: RestrictedBoltzmann) -> Tensor:
    """(2^D,) of every v."""
    return -machine.free_energy(all_bits(len(machine.visible))).detach() - machine.log_z()


def exact_gradient(machine: RestrictedBoltzmann, data: Tensor) -> list[Tensor]:
    """Of −mean log p(data), by a sum over all v."""
    states = all_bits(len(machine.visible))
    p = log_p(machine).exp()
    value = machine.free_energy(data).mean() - p @ machine.free_energy(states)
    return list(torch.autograd.grad(value, list(machine.parameters())))


def start(learner: Contrastive, v: Tensor) -> None:
    """Put persistent chains at v: (n, D), at every temperature where there are several."""
    learner.load_rank_state({"v": v.clone()})


# --------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("centred", [True, False])
def test_long_contrastive_divergence_has_the_gradient_of_the_likelihood(centred):
    machine = random_machine(6, 4, scale=0.6).requires_grad_(True)
    data = (torch.rand(5, 6, generator=seeded()) < 0.4).double()
    learner = Contrastive(machine, "cd", steps=30, centred=centred, drift=1e-9)
    if centred:
        machine.centre(data.mean(0), torch.full((4,), 0.5).double())
    exact = exact_gradient(machine, data)
    found = []
    for _ in range(150):
        machine.zero_grad()
        learner.loss(data.repeat(60, 1)).backward()
        found.append(flat([p.grad for p in machine.parameters()]))  # type: ignore[misc]
    drawn = torch.stack(found)
    assert (drawn.std(0) / 150**0.5).max() < 0.01
    assert hotelling(drawn, flat(exact)) > 1e-3


def flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def hotelling(draws: Tensor, mean: Tensor) -> float:
    """p-value of the mean: (d,) of draws: (n, d) that depend on each other within a row."""
    n, d = draws.shape
    error = draws.mean(0) - mean
    t2 = float(error @ torch.linalg.solve(draws.T.cov() / n, error))
    return float(stats.f.sf(t2 * (n - d) / (d * (n - 1)), d, n - d))


def test_one_step_of_contrastive_divergence_is_biased():
    """The control of the test above: it would see a wrong gradient."""
    machine = random_machine(6, 4, scale=1.5).requires_grad_(True)
    data = torch.zeros(1, 6, dtype=torch.float64)
    learner = Contrastive(machine, "cd", steps=1, centred=False)
    learner.loss(data.repeat(50_000, 1)).backward()
    (exact, *_) = exact_gradient(machine, data)
    assert (machine.weight.grad - exact).abs().max() > 0.05


def test_contrastive_divergence_has_no_gradient_at_the_truth():
    """From draws of the machine itself, every step of its chain has the same law."""
    machine = random_machine(5, 3).requires_grad_(True)
    data = machine.draw(100_000, generator=seeded())
    Contrastive(machine, "cd", steps=1).loss(data).backward()
    assert all(p.grad.abs().max() < 0.015 for p in machine.parameters())


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_every_kind_of_unit_learns(pair):
    """Gradient steps on draws of one machine bring another one closer to it."""
    target, learned = machine_of(*pair, seed=0), machine_of(*pair, seed=1)
    target.weight *= 0.5
    learned.weight *= 0.5
    v, _ = grid(target.visible_units)
    p = masses(v, joint(target).logsumexp(1))
    rows = torch.multinomial(
        joint(target).logsumexp(1).softmax(0), 2000, replacement=True, generator=seeded()
    )
    data = v[rows]

    def distance() -> float:
        q = masses(v, joint(learned).logsumexp(1))
        return float((p - q).abs().sum()) / 2

    before = distance()
    learned.requires_grad_(True)
    learner = Contrastive(learned, "pcd", steps=2)
    optimizer = torch.optim.SGD(learned.parameters(), lr=0.1)
    for batch in data.repeat(3, 1).split(20):
        optimizer.zero_grad()
        learner.loss(batch).backward()
        optimizer.step()
    learned.requires_grad_(False)
    assert before > 0.2
    assert distance() < 0.5 * before


# ------------------------------------------------------------------------------------------------ chains


@pytest.mark.parametrize("sampler", ["pcd", "fpcd", "tempering"])
def test_chains_of_a_still_machine_keep_its_distribution(sampler, monkeypatch):
    monkeypatch.setattr("genlab.models.boltzmann.chains.FAST_RATE", 0.0)
    machine = random_machine(4, 3, scale=1.2)
    machine.base[:] = torch.tensor([0.5, -1.0, 0.0, 1.0])
    chains = SAMPLERS[sampler](2, None)
    where = machine.draw(CHAINS, generator=seeded())
    if sampler == "tempering":
        where = tempered_start(machine)
    chains.load({"v": where})
    v = (torch.rand(10, 4, generator=seeded()) < 0.5).double()
    plain = machine.couplings()
    for _ in range(3):
        found = chains.negative(plain, v, plain.activation(v), machine.base)
        assert found.shape == (CHAINS, 4)
        assert g_test(torch.bincount(codes(found), minlength=16), log_p(machine).exp()) > 1e-3


def tempered_start(machine: RestrictedBoltzmann) -> Tensor:
    """(temperatures, CHAINS, D): exact draws at each."""
    states = []
    for i, log_f in enumerate(tempered_log_p(machine)):
        rows = torch.multinomial(log_f.softmax(0), CHAINS, replacement=True, generator=seeded(i))
        states.append(all_bits(4)[rows])
    return torch.stack(states)


def tempered_log_p(machine: RestrictedBoltzmann) -> list[Tensor]:
    """(2^D,) each: h summed out of energies mixed with those of the base rates."""
    betas = torch.linspace(0, 1, TEMPERATURES).tolist()
    return [joint(machine, beta, machine.base).logsumexp(1) for beta in betas]


def test_every_temperature_keeps_its_distribution_and_neighbours_trade_places():
    machine = random_machine(4, 3, scale=1.2)
    machine.base[:] = torch.tensor([0.5, -1.0, 0.0, 1.0])
    chains = SAMPLERS["tempering"](1, None)
    before = tempered_start(machine)
    chains.load({"v": before})
    plain = machine.couplings()
    v = before[0, :10]
    for _ in range(3):
        chains.negative(plain, v, plain.activation(v), machine.base)
    states = chains.state()["v"]
    assert states.shape == before.shape
    for found, log_f in zip(states, tempered_log_p(machine), strict=True):
        assert g_test(torch.bincount(codes(found), minlength=16), log_f.softmax(0)) > 1e-3


def test_tempering_leaves_a_mode_that_gibbs_sampling_does_not():
    """Two modes, all on and all off, with 1e-6 of the mass between them."""
    machine = RestrictedBoltzmann(8, 1).double().requires_grad_(False)
    machine.weight[:], machine.visible[:], machine.hidden[:] = 8.0, -4.0, -32.0
    v = torch.zeros(200, 8, dtype=torch.float64)
    plain = machine.couplings()
    found = {}
    for sampler in ("pcd", "tempering"):
        chains = SAMPLERS[sampler](1, None)
        for _ in range(100):
            fantasy = chains.negative(plain, v, plain.activation(v), machine.base)
        found[sampler] = float(fantasy.mean())
    assert found["pcd"] < 0.1
    assert found["tempering"] == pytest.approx(0.5, abs=0.1)


def test_first_chains_are_at_data_and_as_many_as_asked_for():
    machine = random_machine(5, 3, scale=0.0)
    machine.visible[:] = torch.tensor([30.0, -30.0, 30.0, -30.0, 30.0])  # sampling changes nothing
    v = torch.tensor([[1.0, 0, 1, 0, 1]], dtype=torch.float64).repeat(3, 1)
    for sampler, chains, expected in [
        ("cd", None, 3),
        ("pcd", None, 3),
        ("pcd", 7, 7),
        ("fpcd", 2, 2),
    ]:
        learner = Contrastive(machine, sampler, chains=chains)
        plain = machine.couplings()
        found = learner.chains.negative(plain, v, plain.activation(v), machine.base)
        assert torch.equal(found, v[:1].expand(expected, -1))


def test_persistent_chains_go_on_where_they_were(monkeypatch):
    machine = random_machine(5, 3)
    seen = []

    def gibbs(self, v, steps, generator=None):
        seen.append((v.clone(), steps))
        return 1 - v

    monkeypatch.setattr("genlab.models.boltzmann.couplings.Couplings.gibbs", gibbs)
    learner = Contrastive(machine, "pcd", steps=4)
    first, second = (all_bits(5)[rows].double() for rows in ([1, 2], [3, 4]))
    learner.loss(first)
    learner.loss(second)
    assert [steps for _, steps in seen] == [4, 4]
    assert torch.equal(seen[0][0], first)
    assert torch.equal(seen[1][0], 1 - first)


def test_fast_weights_follow_the_gradient_and_decay(monkeypatch):
    machine = random_machine(5, 3)
    chains = Fast(1, None)
    v = all_bits(5)[[3, 9, 30]].double()
    plain = machine.couplings()
    fantasy = chains.negative(plain, v, plain.activation(v), machine.base)
    h, fantasy_h = plain.activation(v).sigmoid(), plain.activation(fantasy).sigmoid()
    fast = {k.removeprefix("fast "): t for k, t in chains.state().items() if k.startswith("fast")}
    assert torch.allclose(fast["weight"], 0.05 * (h.T @ v - fantasy_h.T @ fantasy) / 3)
    assert torch.allclose(fast["visible"], 0.05 * (v - fantasy).mean(0))
    assert torch.allclose(fast["hidden"], 0.05 * (h - fantasy_h).mean(0))
    monkeypatch.setattr("genlab.models.boltzmann.chains.FAST_RATE", 0.0)
    for _ in range(10):
        chains.negative(plain, v, plain.activation(v), machine.base)
    for name, before in fast.items():
        assert torch.allclose(chains.state()[f"fast {name}"], FAST_DECAY**10 * before)


def test_fast_weights_are_seen_by_the_chains_alone():
    """They drive the chains where they want, and the machine stays."""
    machine = random_machine(5, 3)
    before = machine.visible.clone()
    chains = Fast(1, None)
    v = all_bits(5)[:10].double()
    push = torch.tensor([90.0, -90.0, 90.0, -90.0, 90.0], dtype=torch.float64)
    chains.load({"v": v, "fast visible": push})
    plain = machine.couplings()
    fantasy = chains.negative(plain, v, plain.activation(v), machine.base)
    assert torch.equal(fantasy, (push > 0).double().expand(10, -1))
    assert torch.equal(machine.visible, before)


# --------------------------------------------------------------------------------------------- centring


def test_offsets_are_the_mean_datum_and_a_running_mean_of_the_hidden_units():
    machine = random_machine(5, 3)
    data = all_bits(5)[[3, 5, 9, 17, 30]].double()
    learner = Contrastive(machine, "cd", drift=0.25)
    learner.begin(data)
    rates = (data.sum(0) + 0.5) / 6
    assert torch.allclose(machine.base.sigmoid(), rates)
    assert torch.allclose(machine.visible_offset, data.mean(0))
    first = machine.hidden_offset.clone()
    before = log_p(machine)
    mean = machine.couplings().activation(data).sigmoid().mean(0)
    learner.loss(data)
    assert torch.allclose(machine.hidden_offset, 0.75 * first + 0.25 * mean)
    assert torch.allclose(machine.visible_offset, data.mean(0))
    assert torch.allclose(log_p(machine), before, atol=1e-9)


def test_training_begins_at_the_base_rates():
    """Without weights to speak of, the first machine is the independent model of the data."""
    data = all_bits(4)[[3, 5, 9, 15, 15, 15]].double()
    for centred in (True, False):
        machine = RestrictedBoltzmann(4, 3).double()
        machine.weight.data.zero_()
        Contrastive(machine, "cd", centred=centred).begin(data)
        rates = (data.sum(0) + 0.5) / 7
        expected = torch.distributions.Bernoulli(rates).log_prob(all_bits(4)).sum(1)
        assert torch.allclose(log_p(machine), expected, atol=1e-9)


def test_uncentred_machines_have_no_offsets():
    machine = random_machine(5, 3)
    learner = Contrastive(machine, "cd", centred=False)
    learner.begin(all_bits(5)[:9].double())
    learner.loss(all_bits(5)[:9].double())
    assert not machine.visible_offset.any()
    assert not machine.hidden_offset.any()


# -------------------------------------------------------------------------------------------- penalties


def gradients(machine: RestrictedBoltzmann, data: Tensor, **options: float) -> list[Tensor]:
    torch.manual_seed(1)
    found = copy.deepcopy(machine)
    Contrastive(found, "cd", drift=1e-9, **options).loss(data).backward()  # type: ignore[arg-type]
    return [p.grad for p in found.parameters()]  # type: ignore[misc]


def test_weight_decay_pulls_at_weights_alone():
    machine = random_machine(5, 3).requires_grad_(True)
    data = all_bits(5)[[3, 5, 9]].double()
    (weight, *biases), (decayed, *same) = (
        gradients(machine, data, weight_decay=decay) for decay in (0.0, 0.01)
    )
    assert torch.allclose(decayed - weight, 0.01 * machine.weight)
    for bias, other in zip(biases, same, strict=True):
        assert torch.equal(bias, other)


def test_sparsity_pulls_at_the_mean_of_each_hidden_unit():
    """By the cross entropy, whose gradient by a unit's bias is (q − p) mean p'/(q(1 − q))."""
    machine = random_machine(5, 3).requires_grad_(True)
    data = all_bits(5)[[3, 5, 9]].double()
    plain, sparse = (
        gradients(machine, data, sparsity=target, sparsity_cost=0.3) for target in (None, 0.1)
    )
    p = machine.couplings().activation(data).sigmoid()
    q = p.mean(0)
    slope = 0.3 * (q - 0.1) / (q * (1 - q)) * (p * (1 - p)).mean(0)
    assert torch.allclose(sparse[2] - plain[2], slope)


def test_a_wanted_sparsity_is_reached():
    machine = RestrictedBoltzmann(6, 8).double()
    data = (torch.rand(200, 6, generator=seeded()) < 0.5).double()
    learner = Contrastive(machine, "pcd", sparsity=0.1, sparsity_cost=5.0)
    learner.begin(data)
    optimizer = torch.optim.SGD(machine.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        learner.loss(data).backward()
        optimizer.step()
    rates = machine.couplings().activation(data).sigmoid().mean(0)
    assert (rates - 0.1).abs().max() < 0.03


# ------------------------------------------------------------------------------------------------ state


@pytest.mark.parametrize("sampler", ["pcd", "fpcd", "tempering"])
def test_state_goes_on_in_another_learner(sampler):
    machine = random_machine(5, 3)
    data = all_bits(5)[[3, 5, 9]].double()
    first = Contrastive(machine, sampler, steps=2, centred=False)
    first.loss(data)
    second = Contrastive(machine, sampler, steps=2, centred=False)
    second.load_rank_state({k: v.clone() for k, v in first.rank_state().items()})
    values = []
    for learner in (first, second):
        torch.manual_seed(5)
        values.append(learner.loss(data))
    assert torch.equal(*values)
    assert Contrastive(machine, "cd").rank_state() == {}


def test_chains_are_not_touched_by_those_who_hold_their_states():
    """The loss of a step may be differentiated after the next one."""
    machine = random_machine(5, 3)
    learner = Contrastive(machine, "pcd")
    data = all_bits(5)[[3, 5, 9]].double()
    learner.loss(data)
    held = learner.rank_state()["v"]
    before = held.clone()
    learner.loss(data)
    assert torch.equal(held, before)
    assert not torch.equal(learner.rank_state()["v"], before)


# ------------------------------------------------------------------------------------------- bad input

BAD = [
    ({"sampler": "foo"}, "sampler=foo: expected cd, reconstruction, pcd, fpcd, tempering"),
    ({"steps": 0}, "steps=0 must be at least 1"),
    ({"chains": 0}, "chains=0 must be at least 1"),
    ({"sampler": "cd", "chains": 5}, "cd starts at the data"),
    ({"drift": 0.0}, r"drift=0.0 must be in \(0, 1\]"),
    ({"drift": 1.5}, r"drift=1.5 must be in \(0, 1\]"),
    ({"weight_decay": -1.0}, r"weight_decay=-1.0 must be at least 0"),
    ({"sparsity": 0.0}, r"sparsity=0.0 must be in \(0, 1\)"),
    ({"sparsity": 1.0}, r"sparsity=1.0 must be in \(0, 1\)"),
    ({"sparsity": 0.1, "sparsity_cost": -0.1}, r"sparsity_cost=-0.1 must be at least 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Contrastive(RestrictedBoltzmann(4, 3), **options)


@pytest.mark.parametrize("units", [Gaussian(3), Rectified(3)])
def test_sparsity_is_for_bits(units):
    make = partial(Contrastive, sparsity=0.1)
    with pytest.raises(UsageError, match="Bernoulli hidden units"):
        make(RestrictedBoltzmann(4, units))
