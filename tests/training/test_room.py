"""No room for a checkpoint: the run ends with one line, and goes on when there is."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stress.comparison import broken, differences

WORDS = (
    *("model=made", "model.hidden=[500]", "data=digits_binary", "stages.fit.max_epochs=2"),
    *("trainer.threads=1", "gallery=false", "evaluate=[test]", "--resume=auto"),
)
ROOM = 400_000  # bytes in a file; a checkpoint has twice as many


def limit() -> None:
    """As on a disk that is full, though with another error: writing beyond it fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))


def train(folder: Path, *, room: bool = True) -> tuple[int, str, Path]:
    command = [sys.executable, "-m", "genlab", "train", *WORDS, f"folder={folder}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=None if room else limit
    )
    (run,) = folder.iterdir()
    return done.returncode, done.stderr, run


@pytest.mark.slow
def test_a_run_without_room_goes_on_when_there_is(tmp_path):
    _, _, whole = train(tmp_path / "a")
    code, said, run = train(tmp_path / "b", room=False)
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("genlab: ")]
    assert line.endswith("cannot be written (File too large): what was there is kept")
    assert list(broken(run)) == []
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    code, said, run = train(tmp_path / "b")
    assert code == 0, said
    assert list(differences(whole, run)) == []
