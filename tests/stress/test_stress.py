"""The short form of ``python -m tests.stress``, and that its eyes are open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
from genlab.training.checkpoint_files import SafeCheckpointIO, load_checkpoint
from tests.stress.comparison import broken, differences
from tests.stress.scenarios import Scenario
from tests.stress.stress import stress


@pytest.mark.slow
@pytest.mark.parametrize(("family", "processes", "kills"), [("made", 1, 6), ("rbm", 2, 3)])
def test_killed_at_random_moments_a_run_ends_the_same(tmp_path, family, processes, kills):
    report = stress(Scenario(family, processes), tmp_path, seed=0, kills=kills)
    assert (report.lost, report.broken, report.differing) == ([], [], [])
    assert len(report.kills) == kills


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    words = ["data=digits_binary", "model.hidden=[8]", "stages.fit.max_epochs=1"]
    return genlab.train(*words, f"folder={tmp_path_factory.mktemp('runs')}").path


def weights(run: Path) -> None:
    path = run / "checkpoints" / "fit" / "best.ckpt"
    content = load_checkpoint(path)
    first = next(iter(content["state_dict"]))
    content["state_dict"][first] = torch.nextafter(content["state_dict"][first], torch.tensor(9.0))
    SafeCheckpointIO().save_checkpoint(content, path)


def score(run: Path) -> None:
    path = next(run.glob("scores/test-*.npz"))
    nats = np.load(path)["nats"]
    np.savez(path, nats=np.nextafter(nats, 0))


def summary(run: Path) -> None:
    path = next(run.glob("scores/test-*.json"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"bits_per_dim": 0.5}))


def curve(run: Path) -> None:
    path = run / "metrics.csv"
    path.write_text(path.read_text().replace("loss,2", "loss,3"))


def picture(run: Path) -> None:
    shutil.copy(run / "gallery" / "data.png", run / "samples" / "seed-0.png")


def missing(run: Path) -> None:
    (run / "gallery" / "data.png").unlink()


@pytest.mark.parametrize("change", [weights, score, summary, curve, picture, missing])
def test_any_difference_is_seen(run, tmp_path, change):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    assert list(differences(run, other)) == []
    change(other)
    assert len(list(differences(run, other))) == 1


@pytest.mark.parametrize(
    "name", ["checkpoints/fit/last.ckpt", "run.json", "samples/seed-0.png", "samples/seed-0.npz"]
)
def test_a_file_that_is_not_whole_is_seen(run, tmp_path, name):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    assert list(broken(other)) == []
    content = (other / name).read_bytes()
    (other / name).write_bytes(content[: len(content) // 2])
    (line,) = broken(other)
    assert line.startswith(name)
