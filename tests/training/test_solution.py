"""Stages in closed form: once, on every training datum, on one process and on two."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch

from genlab.contracts import Batch, DataSpec, GenerativeModel, Stage, UsageError
from genlab.runs import RunDirectory
from genlab.training import (
    NonFinite,
    TrainerSettings,
    Validation,
    averaged,
    fit,
    load_checkpoint,
    load_weights,
)
from tests.training.small import Bits

ALONE = TrainerSettings(accelerator="cpu")
FORKED = TrainerSettings(accelerator="cpu", strategy="ddp_fork", devices=2)


class Mean(GenerativeModel):
    """Its centre is the mean of the data, in closed form; a second stage learns a spread beside it."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.centre = torch.nn.Parameter(torch.zeros(spec.size))
        self.spread = torch.nn.ParameterList([torch.ones(spec.size)])
        self.seen: list[int] = []

    def stages(self):
        return (
            Stage("centre", self, self.loss, solve=self.solve),
            Stage("spread", self.spread, self.loss, max_epochs=1),
        )

    def solve(self, batches) -> None:
        assert not torch.is_grad_enabled()
        self.seen.append(torch.cat([batch.index for batch in batches]).unique().numel())
        self.centre.copy_(sum(b.x.sum(0) for b in batches) / sum(len(b.x) for b in batches))

    def errors(self, batch: Batch) -> torch.Tensor:
        return ((batch.x - self.centre).square() - self.spread[0]).square().sum(1)

    def loss(self, batch: Batch) -> torch.Tensor:
        return self.errors(batch).mean()

    def validate(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {"error": self.errors(batch)}

    def sample(self, n, *, label=None, generator):
        return torch.zeros(n, *self.spec.shape)


def train(path, settings, stages=2):
    data = Bits()
    model, run = Mean(data.spec), RunDirectory(path)
    best = fit(model, data, model.stages()[:stages], run, settings, seed=0)
    return model, run, best


@pytest.mark.parametrize("settings", [ALONE, FORKED], ids=["one process", "two"])
def test_every_process_sees_every_datum(tmp_path, settings):
    model, run, _ = train(tmp_path, settings)
    x = Bits().dataset("train").x
    torch.testing.assert_close(model.centre.data, x.mean(0))
    assert not torch.equal(model.spread[0], torch.ones(4)), "the second stage trained its own"
    mark = json.loads(run.finished("centre").read_text())
    assert mark["world_size"] == settings.processes


def test_validation_is_recorded_as_of_any_stage(tmp_path):
    model, run, best = train(tmp_path, ALONE, stages=1)
    with torch.no_grad():
        expected = model.errors(Batch(Bits().dataset("val").x)).mean().item()
    assert model.seen == [64]
    assert best == Validation("val/error", pytest.approx(expected, rel=1e-6))
    with run.curves.open() as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["centre", "0", "0", "val/error", repr(best.value)]]
    stored = load_checkpoint(run.checkpoint("centre", "last"))
    assert torch.equal(stored["state_dict"]["centre"], model.centre)
    assert stored["genlab"] == {"stage": "centre", "world_size": 1}


def test_a_finished_stage_is_not_solved_again(tmp_path):
    train(tmp_path, ALONE, stages=1)
    model, run, _ = train(tmp_path, ALONE)
    assert model.seen == []
    torch.testing.assert_close(model.centre.data, Bits().dataset("train").x.mean(0))
    with run.curves.open() as file:
        stages = [row[0] for row in csv.reader(file)][1:]
    assert stages[0] == "centre"
    assert set(stages[1:]) == {"spread"}


def test_an_unfinished_stage_is_solved_anew(tmp_path):
    _, run, _ = train(tmp_path, ALONE, stages=1)
    run.finished("centre").unlink()
    model, _, _ = train(tmp_path, ALONE, stages=1)
    assert model.seen == [64]
    with run.curves.open() as file:
        assert len(list(csv.reader(file))) == 2


def test_the_curves_of_earlier_stages_are_kept(tmp_path):
    data = Bits()
    model, run = Mean(data.spec), RunDirectory(tmp_path)
    fit(model, data, model.stages()[::-1], run, ALONE, seed=0)
    with run.curves.open() as file:
        stages = [row[0] for row in csv.reader(file)][1:]
    assert list(dict.fromkeys(stages)) == ["spread", "centre"]


def test_a_stage_that_validates_nothing_keeps_its_solution(tmp_path, monkeypatch):
    monkeypatch.setattr(Mean, "validate", lambda self, batch: {})
    model, run, best = train(tmp_path, ALONE, stages=1)
    assert best is None
    torch.testing.assert_close(model.centre.data, Bits().dataset("train").x.mean(0))
    assert not run.checkpoint("centre", "best").exists()


def test_a_solution_that_is_not_finite_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Mean, "solve", lambda self, batches: self.centre.fill_(torch.nan))
    with pytest.raises(NonFinite, match="not finite"):
        train(tmp_path, ALONE, stages=1)
    assert not RunDirectory(tmp_path).finished("centre").exists()


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_stage_that_trains_nothing_says_whether_the_weights_it_keeps_are_averages(tmp_path, ema):
    data = Bits()
    model, run = Mean(data.spec), RunDirectory(tmp_path)
    spread = replace(model.stages()[1], ema=ema)
    stages = [
        spread,
        Stage("measured", torch.nn.Module(), model.loss, solve=lambda batches: None),
        Stage("measured again", torch.nn.Module(), model.loss, solve=lambda batches: None),
        model.stages()[0],
    ]
    fit(model, data, stages, run, ALONE, seed=0)
    found = [averaged(load_checkpoint(run.checkpoint(stage.name, "best"))) for stage in stages]
    assert found == [ema > 0, ema > 0, ema > 0, False]


class Keeper(Mean):
    """Keeps the rows that begin with a one: how many these are, only the data know."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.register_buffer("rows", torch.zeros(0, spec.size))
        self.register_load_state_dict_pre_hook(_make_room)

    def solve(self, batches) -> None:
        super().solve(batches)
        self.rows = torch.cat([batch.x[batch.x[:, 0] == 1] for batch in batches])


def _make_room(model, state, prefix, *_) -> None:
    model.rows = torch.empty_like(state[prefix + "rows"])


def test_what_has_a_size_of_the_data_is_loaded_by_a_model_that_makes_room(tmp_path):
    data, run = Bits(), RunDirectory(tmp_path)
    model, fresh = Keeper(data.spec), Keeper(data.spec)
    fit(model, data, model.stages(), run, ALONE, seed=0)
    path = run.checkpoint("spread", "last")
    load_weights(fresh, load_checkpoint(path), path)
    assert 0 < len(fresh.rows) < 64
    assert torch.equal(fresh.rows, model.rows)
    with pytest.raises(UsageError, match=r"is a checkpoint of another model: .* Mean in rows"):
        load_weights(Mean(data.spec), load_checkpoint(path), path)
