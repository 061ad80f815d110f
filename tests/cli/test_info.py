"""What genlab info says of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.runs import RunDirectory, write_json

RECORD = {
    "schema": 1,
    "status": "running",
    "overrides": ["model=made", "evaluate=[]"],
    "spec": {"name": "bits", "variant": "fixed"},
    "parameters": 1234,
    "stages": ["rbm1", "rbm2"],
    "heartbeat": "yesterday",
    "progress": {"stage": "rbm2", "number": 2, "stages": 2, "step": 50, "steps": 900},
}


@pytest.fixture
def info(tmp_path: Path, capsys):
    """info(**record) → what is printed of a run with this record."""

    def said(*words: str, **record) -> str:
        run = RunDirectory(tmp_path)
        run.config.write_text("")
        write_json(run.record, RECORD | record)
        assert main(["info", str(tmp_path), *words]) == 0
        return capsys.readouterr().out

    return said


def test_a_run_that_goes_on_says_where(info, tmp_path):
    with RunDirectory(tmp_path).lock():
        said = info()
    assert f"{tmp_path.name}: running" in said
    assert "training     stage 2/2 rbm2, at step 50 of 900" in said


def test_a_run_that_was_killed_does_not_go_on(info):
    said = info()
    assert "stopped without a word; its last sign of life is of yesterday" in said
    assert "stage 2/2 rbm2" in said


def test_a_run_that_was_killed_after_its_training_lived_until_its_last_touch(info, tmp_path):
    lock = tmp_path / ".lock"
    lock.touch()
    os.utime(lock, (1_700_000_000, 1_700_000_000))
    said = info(heartbeat="2023-11-14T20:00:00+00:00", doing="scoring")
    assert "its last sign of life is of 2023-11-14T22:13:20+00:00" in said
    assert "doing        scoring" in said


def test_a_failed_run_says_why(info):
    assert "failed: the loss is nan" in info(status="failed", error="the loss is nan")


def test_a_complete_run_is_nowhere(info):
    said = info(status="completed")
    assert "stages       rbm1, rbm2" in said
    assert "at step" not in said


def test_the_command_can_be_pasted(info):
    assert "genlab train model=made 'evaluate=[]'" in info()


def test_json_is_the_record(info):
    assert json.loads(info("--json"))["run"]["progress"]["number"] == 2


def test_how_fast_each_stage_was_in_its_last_epoch(info, tmp_path):
    rows = [
        "stage,epoch,step,name,value",
        "rbm1,0,5,speed/data,100.0",
        "rbm1,1,9,speed/data,1234.4",
    ]
    rows += ["rbm1,1,9,speed/utilisation,0.0321", "rbm1,1,9,memory/peak,434573312"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\nrbm2,0,9,loss,3.0\n")
    (line,) = [line for line in info().splitlines() if "speed" in line]
    assert line == (
        "  speed        rbm1: 1,234 data a second, 3.2% of what the device can do, "
        "414 MiB of memory at most"
    )


def test_curves_that_cannot_be_read_are_said(info, tmp_path):
    (tmp_path / "metrics.csv").write_text("stage,epoch,step,name,value\nfit,0\n")
    assert "speed        unreadable: a row of metrics.csv" in info()
