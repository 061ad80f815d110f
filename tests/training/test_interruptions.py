"""Asked to stop, or bereft of a process, a run leaves what it can go on from, and says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from genlab.api.session import Session
from genlab.cli.main import main
from tests.training.running import assert_same, only_run, run, train


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    words = {"cpu": "trainer=cpu", "ddp_cpu": "trainer=ddp_cpu", "shown": "gallery=true"}
    folders = {name: tmp_path_factory.mktemp(name) for name in words}
    for name, folder in folders.items():
        train(folder, words[name])
    return {name: only_run(folder) for name, folder in folders.items()}


def record(folder: Path) -> dict:
    return json.loads((only_run(folder) / "run.json").read_text())


def steps(folder: Path, stage: str) -> int:
    path = only_run(folder) / "checkpoints" / stage / "last.ckpt"
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "rank", "by"),
    [
        ("cpu", 0, signal.SIGTERM),
        ("ddp_cpu", 0, signal.SIGINT),
        ("ddp_cpu", 1, signal.SIGTERM),
    ],
)
def test_one_signal_to_any_process_saves_and_stops_all(tmp_path, undisturbed, trainer, rank, by):
    done = run(tmp_path, f"trainer={trainer}", kill="step 33 of encode", by=by, rank=rank)
    assert (done.returncode, done.stdout) == (128 + by, "")
    assert done.stderr.splitlines()[-1] == f"genlab: interrupted ({by.name})"
    assert record(tmp_path)["status"] == "interrupted"
    if trainer == "cpu":
        assert steps(tmp_path, "encode") == 34, "between two points of the curves"
    train(tmp_path, f"trainer={trainer}", "--resume=auto")
    assert_same(only_run(tmp_path), undisturbed[trainer])


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", ["within begin of encode", "validation 0 of encode", "within solve of mean", "sample"]
)
def test_a_signal_at_any_moment(tmp_path, undisturbed, moment):
    """Where nothing would be lost it stops at once; a validation is gone through to the end."""
    done = run(tmp_path, "gallery=true", kill=moment, by=signal.SIGTERM)
    assert done.returncode == 143, done.stderr
    assert record(tmp_path)["status"] == "interrupted"
    train(tmp_path, "gallery=true", "--resume=auto")
    assert_same(only_run(tmp_path), undisturbed["shown"])


GROUP = (
    "model=made",
    "model.hidden=[8]",
    "data=digits_binary",
    "trainer.threads=1",
    "gallery=false",
)


def group(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A long training that is the first of a process group of its own."""
    command = [sys.executable, "-m", "genlab", "train", *GROUP, "stages.fit.max_epochs=5000"]
    to = ["stages.fit.patience=null", f"folder={folder}", "evaluate=[]", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *to], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def ask(process: subprocess.Popen[str], by: signal.Signals) -> str:
    """A signal to the whole group, as from a terminal or a scheduler; the last line that it says."""
    os.killpg(process.pid, by)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + by, error
    return error.splitlines()[-1]


def wait_for(holds: Callable[[], object]) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 1.5])
def test_a_signal_to_all_while_processes_start(tmp_path, later):
    """One of them may be gone before it has met the other, which waits for it where no signal is heard."""
    started = group(tmp_path, "trainer=ddp_cpu")
    wait_for(lambda: psutil.Process(started.pid).children())
    time.sleep(later)
    ask(started, signal.SIGINT)
    assert record(tmp_path)["status"] == "interrupted"
    assert record(tmp_path)["error"] is None


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_with_workers(tmp_path, by):
    started = group(tmp_path, "trainer=cpu", "trainer.workers=2")
    wait_for(lambda: list(tmp_path.glob("*/checkpoints/fit/last.ckpt")))
    assert ask(started, by) == f"genlab: interrupted ({by.name})"
    assert record(tmp_path)["status"] == "interrupted"
    assert not _of(tmp_path)


@pytest.mark.slow
def test_one_signal_to_who_waits_for_its_forks(tmp_path):
    forks = ("trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp_fork")
    started = group(tmp_path, *forks)
    wait_for(lambda: list(tmp_path.glob("*/checkpoints/fit/last.ckpt")))
    started.terminate()
    _, error = started.communicate(timeout=30)
    assert (started.returncode, error.splitlines()[-1]) == (143, "genlab: interrupted (SIGTERM)")
    assert record(tmp_path)["status"] == "interrupted"
    assert not _of(tmp_path)


def test_what_fails_after_a_signal_is_an_interruption(tmp_path, monkeypatch):
    """A library may be told of the end by other means, and first."""

    def failing(self: Session) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("DataLoader worker was killed")

    monkeypatch.setattr("genlab.interrupts._Desk.patient", True)
    monkeypatch.setattr(Session, "_work", failing)
    words = ["train", *GROUP, "evaluate=[]", f"folder={tmp_path}"]
    assert main(words) == 143
    assert record(tmp_path)["status"] == "interrupted"


@pytest.mark.slow
def test_a_lost_process_ends_the_run_with_a_message(tmp_path, undisturbed):
    trace = tmp_path.with_suffix(".trace")
    done = run(tmp_path, "trainer=ddp_cpu", kill="step 120 of chain", rank=1, trace=trace)
    assert time.time() - trace.stat().st_mtime < 60, "the last moment that a process reached"
    assert done.returncode == 1
    message = "the process of rank 1 has ended (killed by SIGKILL)"
    assert done.stderr.splitlines()[-1].startswith(f"genlab: {message}: see ")
    assert record(tmp_path)["status"] == "failed"
    assert record(tmp_path)["error"] == message
    train(tmp_path, "trainer=ddp_cpu", "--resume=auto")
    assert_same(only_run(tmp_path), undisturbed["ddp_cpu"])


@pytest.mark.slow
def test_nobody_outlives_rank_0(tmp_path, undisturbed):
    done = run(tmp_path, "trainer=ddp_cpu", kill="step 120 of chain", rank=0)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    while (left := _of(tmp_path)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
    assert "rank 0 has ended" in (only_run(tmp_path) / "logs" / "rank-1.log").read_text()
    train(tmp_path, "trainer=ddp_cpu", "--resume=auto")
    assert_same(only_run(tmp_path), undisturbed["ddp_cpu"])


def _of(folder: Path) -> list[psutil.Process]:
    """The processes whose command names this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            found += [process] if any(str(folder) in word for word in process.cmdline()) else []
        except psutil.Error:
            continue
    return found
