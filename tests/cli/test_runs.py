"""What genlab runs says of a folder of runs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.runs import RunDirectory, write_json

PROGRESS = {"stage": "rbm2", "number": 2, "stages": 2, "step": 450, "steps": 900}


def make(folder: Path, name: str, status: str, **record) -> RunDirectory:
    run = RunDirectory(folder / name)
    run.path.mkdir(parents=True)
    run.config.write_text("")
    about = {"schema": 1, "status": status, "sessions": [{"host": socket.gethostname()}]}
    write_json(run.record, about | record)
    return run


def score(run: RunDirectory, split: str, mean: float | None) -> None:
    run.scores.mkdir(exist_ok=True)
    nats = {"mean": mean, "stderr": 0.1, "guarantee": "exact", "method": "sum", "measure": "mass"}
    nats["reason"] = "none"
    data = {"name": "bits", "variant": "fixed", "split": split, "n": 9}
    content = {"data": data, "nats": nats, "bits_per_dim": None, "floor": None}
    write_json(run.scores / f"{split}-{mean}.json", content)


@pytest.fixture
def said(tmp_path, capsys):
    def of(*words: str) -> list[str]:
        assert main(["runs", str(tmp_path), *words]) == 0
        return capsys.readouterr().out.splitlines()

    return of


def test_each_status(tmp_path, said):
    live = make(tmp_path, "1", "running", progress=PROGRESS)
    make(tmp_path, "2", "running", progress=PROGRESS)
    make(tmp_path, "3", "failed", error="the loss is nan")
    make(tmp_path, "4", "interrupted")
    score(make(tmp_path, "5", "completed"), "val", -3.0)
    with live.lock():
        lines = said()
    statuses = ["running", "dead", "failed", "interrupted", "completed"]
    assert [line.split()[0] for line in lines] == statuses
    assert lines[0].split()[1:3] == ["75", "%"]
    assert lines[2].endswith("the loss is nan")
    assert "val, n=9: NLL 3.00" in lines[4]
    assert len(said("--status", "dead")) == 2, "nobody holds the first one any more"


def test_what_it_does_after_its_training(tmp_path, said):
    make(tmp_path, "1", "running", progress=PROGRESS, doing="training")
    make(tmp_path, "2", "running", progress=PROGRESS, doing="scoring")
    assert [line.split()[1] for line in said()] == ["75", "scoring"]


def test_the_best_test_score_is_shown(tmp_path, said):
    run = make(tmp_path, "1", "completed")
    for split, mean in (("val", -1.0), ("test", -4.0), ("test", -3.0), ("test", None)):
        score(run, split, mean)
    (about,) = json.loads("\n".join(said("--json")))
    assert (about["score"]["data"]["split"], about["score"]["nats"]["mean"]) == ("test", -3.0)


def test_a_run_on_another_machine_lives_while_it_gives_signs(tmp_path, said):
    run = make(tmp_path, "1", "running", sessions=[{"host": "elsewhere"}])
    assert said()[0].startswith("dead")
    with run.lock():
        pass
    assert said()[0].startswith("running"), "it was there a moment ago"
    os.utime(run.path / ".lock", (0, 0))
    assert said()[0].startswith("dead")


def test_records_that_cannot_be_read(tmp_path, said):
    make(tmp_path, "1", "completed").record.write_text("{")
    make(tmp_path, "2", "running", sessions=3)
    assert [line.split()[0] for line in said()] == ["unreadable", "unreadable"]


def test_a_run_itself(tmp_path, capsys):
    run = make(tmp_path, "1", "completed")
    assert main(["runs", str(run.path)]) == 0
    assert capsys.readouterr().out.startswith("completed")


def test_no_runs(tmp_path, said, capsys):
    assert said() == [f"no runs in {tmp_path}"]
    assert main(["runs", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
