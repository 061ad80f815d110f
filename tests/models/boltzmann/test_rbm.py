"""The model of one machine: what it draws, completes and keeps, against sums over all states."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor

from genlab.contracts import (
    Batch,
    DataSpec,
    Guarantee,
    Observed,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.boltzmann import RBM, Contrastive
from genlab.runs import RunDirectory
from genlab.testing.statistics import g_test
from genlab.training import TrainerSettings, fit
from genlab.training.checkpoint_files import load_checkpoint
from genlab.training.curves import NonFinite
from tests.models.boltzmann.grids import all_bits, codes
from tests.training.small import Bits

SIZE, DRAWS = 5, 4000
BITS = DataSpec("bits", "", (SIZE,), Support.BINARY)
REAL = DataSpec("reals", "", (2,), Support.REAL)
GREY = DataSpec("greys", "5 levels", (1, 2, 2), Support.LEVELS, 5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_model(units: str = "bernoulli", spec: DataSpec = BITS, transitions: int = 60) -> RBM:
    model = RBM(spec, 3, units=units, transitions=transitions)  # type: ignore[arg-type]
    generator = seeded(7)
    for tensor in [*model.machine.parameters(), model.machine.base]:
        tensor.data = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return model.double().requires_grad_(False)


def two_modes(strength: float) -> RBM:
    """All on or all off, in the ratio 1 : 2, and little between."""
    model = RBM(BITS, 1).double().requires_grad_(False)
    model.machine.weight[:], model.machine.visible[:] = strength, -strength / 2
    model.machine.hidden[:] = -2.5 * strength
    excess = float(log_p(model)[-1] - log_p(model)[0])
    model.machine.hidden[:] -= excess + torch.tensor(2.0).log()
    return model


def log_p(model: RBM) -> Tensor:
    """(2^D,)"""
    (found,) = model.log_unnormalised(all_bits(SIZE), generator=seeded())
    return found.log_softmax(0)


# ---------------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "rectified"])
def test_samples_follow_the_distribution(units):
    model = random_model(units)
    drawn = model.sample(DRAWS, generator=seeded())
    assert g_test(torch.bincount(codes(drawn), minlength=2**SIZE), log_p(model).exp()) > 1e-3


def test_annealing_finds_modes_as_often_as_they_are_likely():
    """Plain Gibbs chains from noise find the two equally often and hardly change any more. A finite
    annealed chain stops changing too, but later: it errs to the same side, by less than half.
    """
    model = two_modes(8.0)
    p = log_p(model).exp()
    assert p[0] == pytest.approx(2 * float(p[-1]), rel=1e-2)
    assert p[[0, -1]].sum() > 0.9
    noise = (torch.rand(DRAWS, SIZE, generator=seeded()) < 0.5).double()
    plain = model.machine.couplings().gibbs(noise, 1100, seeded(1))
    exact = float(p @ all_bits(SIZE).mean(1))
    annealed, gibbs = (float(v.mean()) for v in (model.sample(DRAWS, generator=seeded()), plain))
    assert gibbs - exact > 0.1
    assert abs(annealed - exact) < 0.5 * (gibbs - exact)


def test_samples_of_a_gaussian_machine_have_its_moments():
    model = random_model(spec=REAL)
    model.inputs.centre[:] = torch.tensor([3.0, -1.0])
    model.inputs.log_width[:] = torch.tensor([0.5, -0.5])
    drawn = model.sample(20_000, generator=seeded())
    plain, h = model.machine.couplings(), all_bits(3)
    means = plain.visible + h @ plain.weight
    weight = (0.5 * means.square().sum(1) + h @ plain.hidden).softmax(0)
    mean = weight @ means
    covariance = means.T @ (weight[:, None] * means) - mean.outer(mean) + torch.eye(2).double()
    width = model.inputs.log_width.exp()
    assert torch.allclose(drawn.mean(0), mean * width + model.inputs.centre, atol=0.04)
    assert torch.allclose(drawn.T.cov(), covariance * width.outer(width), atol=0.1)


def test_density_of_reals_sums_to_one():
    model = random_model(spec=REAL)
    model.inputs.centre[:] = torch.tensor([3.0, -1.0])
    model.inputs.log_width[:] = torch.tensor([0.5, -0.5])
    line = torch.arange(-25, 25, 0.1, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    (found,) = model.log_unnormalised(x, generator=seeded())
    assert float((found - model.log_z()).exp().sum()) * 0.01 == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "rectified"])
def test_completions_follow_the_conditional(units):
    model = random_model(units)
    x = torch.tensor([[1.0, 0, 0, 0, 1], [0, 1, 1, 1, 0]], dtype=torch.float64)
    mask = torch.tensor([[True, False, True, False, True], [False, False, True, True, False]])
    drawn = model.complete(Observed(x, mask), DRAWS, generator=seeded())
    assert torch.equal(
        drawn[:, mask], x.where(mask, torch.zeros(())).expand(DRAWS, -1, -1)[:, mask]
    )
    p, every = log_p(model), all_bits(SIZE)
    for row in range(2):
        agrees = (every[:, mask[row]] == x[row, mask[row]]).all(1)
        counts = torch.bincount(codes(drawn[:, row]), minlength=2**SIZE)[agrees]
        assert counts.sum() == DRAWS
        assert g_test(counts, p[agrees].softmax(0)) > 1e-3


def test_completions_of_reals_have_the_moments_of_the_conditional():
    """Of the second entry given the first, a mixture of Gaussians over all h."""
    model = random_model(spec=REAL)
    model.inputs.centre[:] = torch.tensor([3.0, -1.0])
    model.inputs.log_width[:] = torch.tensor([0.5, -0.5])
    x = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[True, False]])
    drawn = model.complete(Observed(x, mask), 20_000, generator=seeded())[:, 0]
    assert torch.equal(drawn[:, 0], x[0, 0].expand(20_000))
    line = torch.arange(-12, 10, 0.01, dtype=torch.float64)
    (log_p,) = model.log_unnormalised(
        torch.stack([torch.full_like(line, 4.0), line], 1), generator=seeded()
    )
    p = log_p.softmax(0)
    mean = p @ line
    spread = (p @ (line - mean).square()).sqrt()
    assert float(drawn[:, 1].mean()) == pytest.approx(float(mean), abs=4 * float(spread) / 141)
    assert float(drawn[:, 1].std()) == pytest.approx(float(spread), rel=0.02)


def test_samples_of_greys_are_as_frequent_as_their_cells():
    spec = DataSpec("greys", "4 levels", (2,), Support.LEVELS, 4)
    model = random_model(spec=spec)
    model.inputs.centre[:] = torch.tensor([0.4, 0.6])
    model.inputs.log_width[:] = torch.tensor([-1.5, -1.2])
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    each = model.log_unnormalised(every.double() / 3, 4000, generator=seeded())
    p = (each.logsumexp(0) - each.logsumexp(0).logsumexp(0)).exp()
    total = (each - model.log_z()).exp().mean(0).sum()
    assert float(total) == pytest.approx(1, abs=0.02)
    drawn = model.sample(DRAWS, generator=seeded())
    counts = torch.bincount((drawn * 3).round().long() @ torch.tensor([4, 1]), minlength=16)
    assert g_test(counts, p) > 1e-3


# ------------------------------------------------------------------------------------------- guarantees


def test_what_its_numbers_promise():
    assert RBM(BITS, 4).unnormalised is Guarantee.EXACT
    assert RBM(REAL, 4).unnormalised is Guarantee.EXACT
    assert RBM(GREY, 4).unnormalised is Guarantee.LOWER_BOUND
    assert RBM(GREY, 30).summable is None
    assert RBM(GREY, 25).summable == 25


def test_numbers_of_greys_are_as_many_draws_as_asked_for():
    model = RBM(GREY, 3)
    x = torch.rand(6, 1, 2, 2, generator=seeded()).mul(5).floor() / 4
    model.begin(Batch(x))
    found = model.log_unnormalised(x, 7, generator=seeded())
    assert found.shape == (7, 6)
    assert (found.std(0) > 0).all()
    bits = RBM(BITS, 3).log_unnormalised(all_bits(SIZE).float(), 7, generator=seeded())
    assert bits.shape == (7, 2**SIZE)
    assert torch.equal(bits[0], bits[6])


@pytest.mark.parametrize("units", ["gaussian", "rectified"])
@pytest.mark.parametrize("spec", [REAL, GREY])
def test_unbounded_hidden_units_need_bits(units, spec):
    with pytest.raises(UnsupportedData, match=f"model.units={units} takes BINARY data"):
        RBM(spec, 4, units=units)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "hidden=0 must be at least 1"),
        ({"transitions": 0}, "transitions=0 must be at least 1"),
        ({"units": "softplus"}, "model.units=softplus: expected bernoulli, gaussian, rectified"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        RBM(BITS, **options)


# ---------------------------------------------------------------------------------------------- training


def small(sampler: str = "pcd", **options: object) -> RBM:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        learning = partial(Contrastive, sampler=sampler, **options)  # type: ignore[arg-type]
        return RBM(Bits().spec, 3, learning=learning, transitions=10)  # type: ignore[arg-type]


def trained(folder, model: RBM, callbacks=(), **settings: object) -> dict[str, Tensor]:
    """The weights after two epochs of 64 steps."""
    stage = replace(model.stages()[0], max_epochs=2)
    options = {"accelerator": "cpu", "checkpoint_minutes": 0.0} | settings
    fit(
        model,
        Bits(batch_size=1),
        [stage],
        RunDirectory(folder),
        TrainerSettings(**options),  # type: ignore[arg-type]
        seed=0,
        callbacks=callbacks,
    )
    return {k: v.clone() for k, v in model.state_dict().items()}


class Stop(Callback):
    """Pulls the plug in the middle of the second epoch."""

    def on_train_batch_end(self, trainer, *_args):
        if trainer.global_step == 120:
            raise RuntimeError("pulled")


@pytest.mark.parametrize("sampler", ["cd", "pcd", "fpcd", "tempering"])
def test_interrupted_training_ends_where_undisturbed_training_ends(tmp_path, sampler):
    expected = trained(tmp_path / "a", small(sampler, chains=None))
    with pytest.raises(RuntimeError, match="pulled"):
        trained(tmp_path / "b", small(sampler, chains=None), [Stop()])
    last = load_checkpoint(RunDirectory(tmp_path / "b").checkpoint("rbm", "last"))
    assert 64 < last["global_step"] < 120
    found = trained(tmp_path / "b", small(sampler, chains=None))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[k], found[k]) for k in expected)


class Agree(Callback):
    """Every process holds the same machine, offsets and all."""

    def on_train_end(self, trainer, module):
        for name, tensor in module.state_dict().items():
            seen = [torch.zeros_like(tensor) for _ in range(trainer.world_size)]
            torch.distributed.all_gather(seen, tensor.contiguous())
            assert torch.equal(seen[0], seen[1]), name
            assert not name.endswith("offset") or seen[0].abs().max() > 0


def test_two_processes_hold_one_machine_and_their_own_chains(tmp_path):
    trained(tmp_path, small("fpcd"), [Agree()], strategy="ddp_fork", devices=2)
    last = load_checkpoint(RunDirectory(tmp_path).checkpoint("rbm", "last"))
    first, second = last["rank_state"]
    assert first.keys() == second.keys() == {"v", "fast weight", "fast visible", "fast hidden"}
    assert not torch.equal(first["fast weight"], second["fast weight"])


@pytest.mark.parametrize("sampler", ["cd", "pcd", "fpcd", "tempering"])
def test_mixed_precision_trains_in_float32_where_it_counts(tmp_path, sampler):
    """The free energies are never in bfloat16, so nothing at all changes."""
    full = trained(tmp_path / "full", small(sampler))
    mixed = trained(tmp_path / "mixed", small(sampler), precision="bf16-mixed")
    assert all(torch.equal(full[k], mixed[k]) for k in full)


@pytest.mark.parametrize("sampler", ["pcd", "fpcd"])
def test_deep_copies_learn_by_themselves(sampler):
    """Averaged copies of a model are deep copies."""
    model = small(sampler)
    batch = Batch(all_bits(4).float())
    model.begin(batch)
    model.loss(batch)
    twin = copy.deepcopy(model)
    assert twin.learner.machine is twin.machine
    assert twin.machine is not model.machine
    before = {k: v.clone() for k, v in model.state_dict().items()}
    chains = {k: v.clone() for k, v in model.rank_state().items()}
    twin.begin(Batch(all_bits(4)[:5].float()))
    twin.loss(batch)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(torch.equal(chains[k], v) for k, v in model.rank_state().items())
    stage = twin.stages()[0]
    assert stage.module is twin
    assert stage.loss.__self__ is twin  # type: ignore[attr-defined]


def test_its_stage_says_what_the_loss_is():
    (stage,) = RBM(BITS, 7).stages()
    assert (stage.name, stage.lr_schedule) == ("rbm", "linear")
    assert stage.about == "free energy of 5 → 7 units"


def test_a_free_energy_that_is_not_finite_says_of_which_machine(tmp_path):
    model = small()
    stage = replace(model.stages()[0], optimizer=partial(torch.optim.SGD, lr=1e38))
    settings = TrainerSettings(accelerator="cpu")
    with pytest.raises(NonFinite, match=r"free energy of 4 → 3 units.*stage 'rbm'"):
        fit(model, Bits(batch_size=1), [stage], RunDirectory(tmp_path), settings, seed=0)


def test_averaged_weights_are_a_machine(tmp_path):
    """Offsets are buffers and are not averaged: the averaged machine is close to the last one."""
    model = small("pcd")
    data = Bits(batch_size=1)
    stage = replace(model.stages()[0], max_epochs=2, ema=0.9)
    settings = TrainerSettings(accelerator="cpu")
    fit(model, data, [stage], RunDirectory(tmp_path), settings, seed=0)
    averaged = log_energies(model)
    raw = small("pcd")
    trained(tmp_path / "raw", raw)
    assert not torch.equal(averaged, log_energies(raw))
    assert torch.allclose(averaged, log_energies(raw), atol=0.02)


def log_energies(model: RBM) -> Tensor:
    return -model.machine.free_energy(all_bits(4).float()).detach() - model.machine.log_z()
