"""With real trainings: each is what genlab train would make of the same words, judged as select judges."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

import genlab
from genlab.api.checking import checked
from genlab.cli.main import main
from genlab.sweeps.attempt import Attempt, Work
from genlab.sweeps.bench import Bench
from genlab.sweeps.points import Point
from genlab.training import load_checkpoint
from tests.sweeps.conftest import points

QUICK = ["model=made", "model.hidden=[8]", "data=digits_binary", "gallery=false", "evaluate=[]"]


@pytest.fixture(autouse=True)
def findable(monkeypatch) -> None:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))


def test_a_point_is_what_train_makes(tmp_path):
    words = [*QUICK, "stages.fit.max_epochs=2"]
    assert main(["sweep", *words, "seed=choice(3)", "-o", str(tmp_path / "s")]) == 0
    (row,) = points(tmp_path / "s")
    ours = genlab.open(tmp_path / "s" / row["run"])
    alone = genlab.train(*words, "seed=3", f"folder={tmp_path / 'runs'}")
    assert ours.record["fingerprint"] == alone.record["fingerprint"] == row["fingerprint"]
    assert ours.record["threads"] == alone.record["threads"]
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, ours.model.state_dict()[name])


def test_a_trial_is_judged_by_what_best_ckpt_goes_by(tmp_path, capsys):
    words = [*QUICK[:3], "stages.fit.max_epochs=3", "optimizer=adam", "optimizer.lr=1e-3,1e-2"]
    study = tmp_path / "t"
    assert main(["tune", *words, "--trials", "2", "--jobs", "2", "-o", str(study)]) == 0
    assert points(study)
    for row in points(study):
        run = genlab.open(study / row["run"])
        best = load_checkpoint(run.path / "checkpoints" / "fit" / "best.ckpt")
        assert best["callbacks"]["Checkpoints"]["best"] == row["value"]
        assert not list(run.directory.scores.glob("*"))
        assert not (run.path / "gallery").exists()


def test_a_training_that_is_asked_to_end(tmp_path):
    """As one that is pruned is: its checkpoint is there, and its record says that it was interrupted."""
    words = (*QUICK, "stages.fit.max_epochs=10000")
    bench = Bench(tmp_path, "tune")
    attempt = Attempt(Work(bench), Point(1, words, checked(words, set())["fingerprint"]))
    assert attempt.look() is None
    for _ in range(1200):
        run = attempt.run
        if run is not None and run.checkpoint("fit", "last").is_file():
            break
        time.sleep(0.05)
    attempt.end()
    while (outcome := attempt.look()) is None:
        time.sleep(0.05)
    assert outcome.status == "interrupted"
    assert outcome.run is not None
    record = json.loads((outcome.run / "run.json").read_text())
    assert record["status"] == "interrupted"
    load_checkpoint(outcome.run / "checkpoints" / "fit" / "last.ckpt")


@pytest.mark.parametrize(
    ("words", "validates"),
    [
        (["model=made"], True),
        (["model=chow_liu"], True),
        (["model=gmmn", "data=digits"], True),
        (["model=stack_classifier"], True),
        (["model=rbm"], False),
        (["model=dbn"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_which_models_can_be_searched(words, validates):
    assert checked(words, set())["validates"] is validates
