"""Whatever is killed, parent or training, ``--resume`` goes on with the same points and loses none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sweeps.conftest import history, points, states

DRIVER = """
import sys
from tests.sweeps.fakes import install
from genlab.cli.main import main
install()
sys.exit(main(sys.argv[1:]))
"""
SLOW = ["stages.fit.max_epochs=12", "optimizer=adam"]
LR = "optimizer.lr=tag(log, interval(1e-3, 1e-1))"


@pytest.fixture
def slowly(here, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.2")


def parent(*words: str) -> subprocess.Popen[str]:
    """A process of its own that can be killed."""
    command = [sys.executable, "-c", DRIVER, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(found: Callable[[], bool]) -> None:
    for _ in range(600):
        if found():
            return
        time.sleep(0.1)
    raise AssertionError("nothing happened for a minute")


def runs(bench: str) -> list[Path]:
    """In the order in which they were begun."""
    begun = []
    for path in Path(bench).glob("runs/*/run.json"):
        sessions = json.loads(path.read_text())["sessions"]
        if sessions:
            begun.append((sessions[0]["clock"], path.parent))
    return [path for _, path in sorted(begun)]


def records(bench: str) -> list[dict]:
    return [json.loads((run / "run.json").read_text()) for run in runs(bench)]


def curves(bench: str) -> list[list[str]]:
    files = [run / "metrics.csv" for run in runs(bench)]
    return [file.read_text().splitlines() if file.is_file() else [] for file in files]


def in_the_middle_of(n: int, bench: str) -> Callable[[], bool]:
    """Whether the n-th run has been validated, and is not at its end."""
    return lambda: len(found := curves(bench)) == n and 1 < len(found[-1]) < 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_asked_to_end(slowly, genlab, number):
    with parent("sweep", *SLOW, "seed=1,2,3", "-o", "s") as process:
        wait_until(in_the_middle_of(2, "s"))
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "2 of 3 points are not completed: genlab sweep --resume s goes on" in error
    assert states("s") == ["completed", "interrupted", "pending"]
    assert [record["status"] for record in records("s")] == ["completed", "interrupted"]
    assert genlab("sweep", "--resume", "s") == 0
    assert [len(record["sessions"]) for record in records("s")] == [1, 2, 1]
    assert [len(rows) for rows in curves("s")] == [13] * 3


def test_several_that_are_asked_to_end(slowly, genlab):
    words = ["stages.fit.max_epochs=30", "seed=1,2,3,4"]
    with parent("sweep", *words, "--jobs", "2", "-o", "s") as process:
        wait_until(lambda: len(found := curves("s")) == 2 and all(found))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert sorted(states("s")) == ["interrupted", "interrupted", "pending", "pending"]
    assert genlab("sweep", "--resume", "s", "--jobs", "4") == 0
    assert sorted(len(record["sessions"]) for record in records("s")) == [1, 1, 2, 2]


def test_a_training_that_does_not_end(slowly, monkeypatch):
    """Whoever asks a second time does not want to wait."""
    monkeypatch.setenv("FAKE_STUBBORN", "1")
    with parent("sweep", "stages.fit.max_epochs=1000", "seed=1,2", "-o", "s") as process:
        wait_until(in_the_middle_of(1, "s"))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert states("s") == ["interrupted", "pending"]
    assert records("s")[0]["status"] == "interrupted"


def test_a_sweep_that_is_killed(slowly, genlab):
    """The training that it leaves behind is waited for, and not begun a second time."""
    with parent("sweep", "stages.fit.max_epochs=30", "seed=1,2", "-o", "s") as process:
        wait_until(in_the_middle_of(1, "s"))
        process.kill()
    assert states("s") == ["running", "pending"]
    assert genlab("sweep", "--resume", "s") == 0
    assert states("s") == ["completed"] * 2
    assert [len(record["sessions"]) for record in records("s")] == [1, 1]


def test_a_training_that_is_killed(slowly, genlab):
    with parent("sweep", *SLOW, "seed=1,2", "-o", "s") as process:
        wait_until(in_the_middle_of(1, "s"))
        os.kill(records("s")[0]["sessions"][0]["pid"], signal.SIGKILL)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "point 1/2 failed: seed=1: killed by SIGKILL; its log is s/logs/001.txt" in error
    assert [record["status"] for record in records("s")] == ["interrupted", "completed"]
    assert genlab("sweep", "--resume", "s") == 0
    assert [len(record["sessions"]) for record in records("s")] == [2, 1]


def test_a_trial_that_is_killed_is_gone_on_with(slowly, genlab):
    """The others are not waited for in vain, and on resume it is the trial that it was."""
    words = ["tune", *SLOW, LR, "--trials", "3", "--pruner", "none", "--sampler", "random"]
    with parent(*words, "-o", "t") as process:
        wait_until(in_the_middle_of(2, "t"))
        os.kill(records("t")[1]["sessions"][0]["pid"], signal.SIGKILL)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "1 of 3 trials have no end: genlab tune --resume t goes on" in error
    assert states("t") == ["completed", "interrupted", "completed"]
    assert genlab("tune", "--resume", "t") == 0
    assert [len(record["sessions"]) for record in records("t")] == [1, 2, 1]
    assert genlab(*words, "-o", "whole") == 0
    assert history("t") == history("whole")


@pytest.mark.parametrize("trial_too", [False, True])
def test_a_study_that_is_killed(slowly, genlab, trial_too):
    """It has the trials that were asked for, those of an undisturbed one, each trained once."""
    words = ["tune", *SLOW, LR, "seed=1,2", "--trials", "4"]
    with parent(*words, "-o", "t") as process:
        wait_until(in_the_middle_of(2, "t"))
        process.kill()
    if trial_too:
        os.kill(records("t")[1]["sessions"][0]["pid"], signal.SIGKILL)
    assert genlab("tune", "--resume", "t") == 0
    assert [len(record["sessions"]) for record in records("t")] == [1, 1 + trial_too, 1, 1]
    assert states("t") == ["completed"] * 4
    assert genlab(*words, "-o", "whole") == 0
    assert history("t") == history("whole")
    assert [row["value"] for row in points("t")] == [row["value"] for row in points("whole")]


def test_a_study_that_is_asked_to_end(slowly, genlab):
    words = ["tune", *SLOW, LR, "--trials", "3"]
    with parent(*words, "-o", "t") as process:
        wait_until(in_the_middle_of(2, "t"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert states("t") == ["completed", "interrupted"]
    assert genlab("tune", "--resume", "t") == 0
    assert [len(record["sessions"]) for record in records("t")] == [1, 2, 1]
    assert genlab(*words, "-o", "whole") == 0
    assert history("t") == history("whole")
