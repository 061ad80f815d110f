"""Killed in the middle of an epoch and resumed, a run ends where an undisturbed one ends, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from genlab.data import Threshold, digits
from tests.data.sharded import written
from tests.stress.comparison import curves
from tests.training.killing import finish, kill_in_mid_epoch, start

WORDS = [
    "model=made",
    "model.hidden=[300]",
    "model.dropout=0.1",  # random, so that a resumed step must find its own noise again
    "model.masks=3",
    "model.order=random",
    "data.batch_size=10",  # 130 steps in an epoch
    "stages.fit.max_epochs=6",
    "stages.fit.ema=0.99",
    "trainer.checkpoint_minutes=0",  # a checkpoint every 50 steps
    "evaluate=[test]",
    "gallery=false",
]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "fit" / "last.ckpt", weights_only=True)["state_dict"]


def shards(folder: Path) -> list[str]:
    """The same data in 13 mapped files."""
    return ["data=shards", f"data.path={written(digits(preprocess=Threshold(8)), folder, 100)}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "trainer", "workers"),
    [
        ("digits_binary", "cpu", 0),
        ("digits_binary", "cpu", 2),
        ("digits_binary", "ddp_cpu", 0),
        ("shards", "cpu", 2),
        ("shards", "ddp_cpu", 1),
    ],
)
def test_killed_and_resumed_equals_undisturbed(tmp_path, data, trainer, workers):
    of = shards(tmp_path / "shards") if data == "shards" else [f"data={data}"]
    words = [*WORDS, *of, f"trainer={trainer}", "trainer.threads=1"]
    undisturbed = finish(start(tmp_path / "a", words))
    words.append(f"trainer.workers={workers}")
    process = start(tmp_path / "b", words)
    kill_in_mid_epoch(process, tmp_path / "b", "fit", after=60)
    resumed = finish(start(tmp_path / "b", [*words, "--resume", "auto"]))
    assert [p.name for p in (tmp_path / "b").iterdir()] == [resumed.name]
    assert json.loads((resumed / "run.json").read_text())["status"] == "completed"
    assert len(json.loads((resumed / "run.json").read_text())["sessions"]) == 2
    expected, found = weights(undisturbed), weights(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert curves(undisturbed) == curves(resumed)
