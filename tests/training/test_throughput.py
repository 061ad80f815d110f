"""How fast a stage trains: what is counted has a known answer, and who waits for data hears of it."""

from __future__ import annotations

import csv
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genlab.contracts import Batch, GenerativeModel
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit, throughput
from genlab.training.checkpoints import Checkpoints
from tests.training.small import Bits

CPU = TrainerSettings(accelerator="cpu")


class Layers(GenerativeModel):
    """4 → 8 → 2 units, without biases."""

    def __init__(self, spec, pause: float = 0.0) -> None:
        super().__init__(spec)
        self.layers = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False))
        self.pause = pause

    def loss(self, batch: Batch) -> torch.Tensor:
        time.sleep(self.pause)
        return self.layers(batch.x).square().mean()

    def sample(self, n, *, label=None, generator):
        return torch.zeros(n, 4)


class SlowBits(Bits):
    """Each batch takes its time."""

    def dataset(self, split: str):
        rows = super().dataset(split)

        class Slow(type(rows)):
            def __getitem__(self, index):
                time.sleep(0.02)
                return super().__getitem__(index)

        rows.__class__ = Slow
        return rows


def trained(path, data, model) -> dict[str, list[float]]:
    (stage,) = model.stages()
    fit(model, data, [replace(stage, max_epochs=2)], RunDirectory(path), CPU, seed=0)
    found: dict[str, list[float]] = {}
    with (path / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], []).append(float(row["value"]))
    return found


def test_operations_of_a_step_are_those_of_its_products(tmp_path):
    data = Bits(batch_size=16)
    found = trained(tmp_path, data, Layers(data.spec))
    forward = 2 * 16 * (4 * 8 + 8 * 2)
    backward = 2 * forward - 2 * 16 * 4 * 8  # nobody asks for the gradient of the data
    steps = found["speed/data"][1] / 16
    assert found["speed/flops"][1] == pytest.approx(steps * (forward + backward))
    assert 0 < found["speed/utilisation"][1] < 1
    assert len(found["memory/peak"]) == 2
    assert 50e6 < found["memory/peak"][0] < 20e9


def test_speed_is_data_by_time(tmp_path):
    data = Bits(batch_size=8)
    found = trained(tmp_path, data, Layers(data.spec, pause=0.01))
    assert 100 < found["speed/data"][1] < 8 / 0.01


def test_a_stage_that_waits_for_data_says_so_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(throughput, "ENOUGH", 0.1)
    data = SlowBits()
    trained(tmp_path / "slow", data, Layers(data.spec))
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"genlab: stage 'fit' spends [5-9]\d % of its time waiting for data: trainer\.workers=2 reads .*",
        line,
    )
    trained(tmp_path / "busy", Bits(), Layers(data.spec, pause=0.02))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("busy", [True, False])
def test_what_a_gpu_does_meanwhile_is_no_waiting_for_data(monkeypatch, busy):
    said: list[str] = []
    monkeypatch.setattr(throughput, "ENOUGH", 0.05)
    found = throughput.Throughput(SimpleNamespace(), "fit", False, said.append)
    gpu = SimpleNamespace(type="cuda")
    loader = SimpleNamespace(num_workers=0)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=gpu), train_dataloader=loader)
    queue = SimpleNamespace(record=lambda: None, query=lambda: not busy)
    monkeypatch.setattr(torch.cuda, "Event", lambda: queue)
    found.on_train_start(trainer, None)
    for step in range(3):
        found.on_train_batch_start(trainer, None, None, step)
        found.end_of_step.on_train_batch_end(trainer, None, None, SimpleNamespace(x=[1]), step)
        time.sleep(0.05)
    assert bool(said) == (not busy)


def test_saving_a_checkpoint_is_no_waiting_for_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(throughput, "ENOUGH", 0.1)
    monkeypatch.setattr(Checkpoints, "on_train_batch_end", lambda *given: time.sleep(0.02))
    data = Bits()
    trained(tmp_path, data, Layers(data.spec))
    assert capsys.readouterr().err == ""
