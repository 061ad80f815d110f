"""What genlab info says of a run."""

from __future__ import annotations

import json
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
