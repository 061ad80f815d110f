"""Told to go on with a run that another process works on, the second one is refused with one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import genlab
from genlab import holding
from genlab.cli.main import main
from genlab.runs import RunDirectory, write_json

WORDS = (
    *("model=made", "model.hidden=[8]", "data=digits_binary", "stages.fit.max_steps=2"),
    *("trainer=cpu", "evaluate=[]", "gallery=false"),
)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """One whose record says that it is being trained."""
    found = RunDirectory(genlab.train(*WORDS, f"folder={tmp_path}").path)
    found.update(status="running")
    return found


def move(run: RunDirectory, host: str) -> None:
    record = json.loads(run.record.read_text())
    record["sessions"][-1]["host"] = host
    write_json(run.record, record)


def second(run: RunDirectory, capsys, resume: str) -> tuple[int, str]:
    words = ["train", *WORDS, f"folder={run.path.parent}", "--resume", resume]
    code, said = main(words), capsys.readouterr().err.strip()
    assert json.loads(run.record.read_text())["status"] == ("running" if code else "completed")
    return code, said


@pytest.mark.parametrize("resume", ["auto", "path"])
@pytest.mark.parametrize("host", ["this", "elsewhere"])
def test_a_run_that_is_being_trained(run, capsys, resume, host):
    """Elsewhere the system may not see who holds it, so that its signs of life count."""
    if host == "elsewhere":
        move(run, host)
        os.utime(run.path / ".lock")
        said = second(run, capsys, "auto" if resume == "auto" else str(run.path))
    else:
        with run.lock():
            said = second(run, capsys, "auto" if resume == "auto" else str(run.path))
    code, line = said
    assert code == 2
    assert len(line.splitlines()) == 1
    assert f"{run.path} " in line
    assert ("still running" if resume == "auto" else "is being trained on ") in line
    assert len(json.loads(run.record.read_text())["sessions"]) == 1


@pytest.mark.parametrize("host", ["this", "elsewhere"])
def test_a_run_whose_process_is_dead(run, capsys, host):
    """Its lock lies there still."""
    if host == "elsewhere":
        move(run, host)
    os.utime(run.path / ".lock", (0, 0))
    assert second(run, capsys, "auto") == (0, "")
    assert len(json.loads(run.record.read_text())["sessions"]) == 2


def test_of_two_that_found_it_dead_one_gets_it(run, capsys, monkeypatch):
    """Both looked before either began."""
    monkeypatch.setattr(RunDirectory, "condition", lambda *_: "dead")
    with run.lock():
        code, line = second(run, capsys, "auto")
    assert (code, line) == (2, f"genlab: {run.path} is being trained by another process")


def test_a_lock_is_nothing_without_its_process(tmp_path):
    """The system lets go of it, however that ended."""
    file: Path = tmp_path / ".lock"
    child = os.fork()
    if not child:
        with holding.holding(file, "taken"):
            os._exit(1)
    os.waitpid(child, 0)
    assert file.exists()
    assert not holding.is_held(file)
