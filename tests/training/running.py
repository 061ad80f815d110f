"""Runs of a model in stages, by the real command, that may end at any moment, and their weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from genlab.cli.main import main
from tests.stress.comparison import differences

ROOT = Path(__file__).parents[2]
WORDS = [
    "model._target_=tests.training.staged.Staged",
    "--allow-target=tests.",
    "data=digits_binary",
    "data.batch_size=10",  # 130 steps in an epoch, 65 on each of two processes
    "trainer.checkpoint_minutes=0",  # a checkpoint every 50 steps
    "trainer.threads=1",
    "evaluate=[]",
    "gallery=false",
]
SHORT = [
    "--allow-target=tests.",
    "model._target_=tests.training.staged.Staged",
    "data=digits_binary",
    "data.batch_size=650",  # two steps in an epoch
    "stages.chain.max_epochs=1",
    "stages.decode.max_epochs=2",
    "trainer=cpu",
    "trainer.threads=1",
    "evaluate=[]",
    "gallery=false",
]
STAGES = ["encode", "chain", "decode", "mean"]


def run(
    folder: Path,
    *words: str,
    kill: str = "",
    by: signal.Signals = signal.SIGKILL,
    rank: int | None = None,
    trace: Path | None = None,
) -> subprocess.CompletedProcess:
    """The real command; with ``kill``, each process sends itself a signal then, or one of them."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STAGED_KILL": kill}
    environment |= {
        "STAGED_SIGNAL": str(by.value),
        "STAGED_RANK": "" if rank is None else str(rank),
    }
    if trace is not None:
        environment["STAGED_TRACE"] = str(trace)
    command = [sys.executable, "-m", "genlab", "train", *WORDS, f"folder={folder}", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def train(folder: Path, *words: str, kill: str = "", trace: Path | None = None) -> None:
    """To its end; with ``kill``, to the moment at which every process kills itself."""
    done = run(folder, *words, kill=kill, trace=trace)
    assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr


def interrupted(folder: Path, moment: str) -> Path:
    """A run of the words SHORT, in this process, that was asked to stop at a moment."""
    with patch.dict(os.environ, STAGED_KILL=moment, STAGED_SIGNAL=str(signal.SIGTERM.value)):
        assert main(["train", *SHORT, f"folder={folder}"]) == 128 + signal.SIGTERM
    return only_run(folder)


def only_run(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def assert_same(first: Path, second: Path) -> None:
    """All that they made; and in every stage."""
    assert list(differences(first, second)) == []
    assert all((first / "checkpoints" / stage / "last.ckpt").is_file() for stage in STAGES)


def entered(trace: Path) -> list[str]:
    """The stages that a process entered."""
    lines = trace.read_text().splitlines() if trace.is_file() else []
    return [line.removeprefix("before ") for line in lines if line.startswith("before ")]
