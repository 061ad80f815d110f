"""Two processes match what one matches, and every stage trains under plain DDP."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Stage, Support, Trainable
from genlab.models.moment_matching import gmmn, gmmn_ae
from genlab.nn.mmd import MMD, EnergyDistance, GaussianKernel, RationalQuadratic
from genlab.randomness import generator, scope
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from genlab.training.checkpoint_files import load_checkpoint
from tests.training.small import Fixed

ROWS, SIZE = 60, 6


SPEC = DataSpec("greys", "5 levels", (SIZE,), Support.LEVELS, levels=5)


def greys(batch_size: int) -> Fixed:
    """60 data of six greys."""
    levels = torch.randint(5, (ROWS, SIZE), generator=generator("greys"))
    return Fixed(SPEC, levels / 4, batch_size)


class GivenNoise(Trainable):
    """A generator whose noise belongs to the datum beside it, so that it is the same on any process."""

    def __init__(self, mmd: MMD) -> None:
        super().__init__()
        self.mmd = mmd
        with scope("weights"):
            self.network = torch.nn.Linear(3, SIZE)
        self.z = torch.randn(ROWS, 3, generator=generator("z"))

    def loss(self, batch: Batch) -> Tensor:
        assert batch.index is not None
        return self.mmd(self.network(self.z[batch.index]), batch.x)


def settings(processes: int) -> TrainerSettings:
    strategy = "auto" if processes == 1 else "ddp_fork"
    return TrainerSettings(accelerator="cpu", strategy=strategy, devices=processes)


def one_step(folder: Path, mmd: MMD, processes: int) -> tuple[float, Tensor]:
    """The loss, and by how much a step of rate one changes the weights: the gradient."""
    model, run = GivenNoise(mmd), RunDirectory(folder / str(processes))
    before = model.network.weight.detach().clone()
    stage = Stage("fit", model, model.loss, optimizer=partial(torch.optim.SGD, lr=1.0), max_steps=1)
    fit(model, greys(ROWS // processes), [stage], run, settings(processes), seed=0)
    with run.curves.open(newline="") as file:
        losses = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "loss"]
    return losses[0], before - model.network.weight.detach()


@pytest.mark.parametrize(
    "mmd",
    [
        MMD(GaussianKernel((0.5, 2.0))),
        MMD(RationalQuadratic(), unbiased=True),
        MMD(EnergyDistance(), unbiased=True, root=False),
    ],
    ids=["gaussian", "rational quadratic, unbiased", "energy distance, no root"],
)
def test_two_processes_have_the_loss_and_the_gradient_of_one(tmp_path, mmd):
    (loss, gradient), (loss2, gradient2) = (one_step(tmp_path, mmd, n) for n in (1, 2))
    assert gradient.abs().max() > 1e-3
    assert loss2 == pytest.approx(loss, abs=1e-5)
    torch.testing.assert_close(gradient2, gradient, atol=1e-5, rtol=1e-5)


class Witness(Trainable):
    """Remembers the noise that each process draws."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.model = gmmn(spec, hidden=(8,))
        self.seen: Tensor | None = None

    def loss(self, batch: Batch) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            self.seen = self.model.draw_noise(4)
        return self.model.loss(batch)

    def rank_state(self) -> dict[str, Tensor]:
        return {} if self.seen is None else {"seen": self.seen}


def test_each_process_draws_noise_of_its_own(tmp_path):
    data, run = greys(20), RunDirectory(tmp_path)
    model = Witness(data.spec)
    stage = Stage("fit", model.model.generator, model.loss, max_steps=2)
    fit(model, data, [stage], run, settings(2), seed=0)
    states = load_checkpoint(run.checkpoint("fit", "last"))["rank_state"]
    first, second = (state["seen"] for state in states)
    assert not torch.isclose(first, second).any()


@pytest.mark.parametrize("processes", [1, 2])
def test_every_stage_trains(tmp_path, processes):
    """Under DDP without find_unused_parameters; validation on shards, best and last checkpoints."""
    data, run = greys(15), RunDirectory(tmp_path)
    with scope("weights"):
        model = gmmn_ae(data.spec, hidden=(8,), encoder=(7, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stages = [replace(stage, max_steps=4, max_epochs=None) for stage in model.stages()]
    fit(model, data, stages, run, settings(processes), seed=0)
    assert [run.finished(stage.name).is_file() for stage in stages] == [True] * 4
    names = {name for name, _ in model.named_parameters()}
    same = {n for n in names if torch.equal(before[n], model.state_dict()[n])}
    assert not same
    with run.curves.open(newline="") as file:
        seen = {(row["stage"], row["name"]) for row in csv.DictReader(file)}
    assert {("match", "loss"), ("match", "val/mmd2"), ("finetune", "val/squared_error")} <= seen
