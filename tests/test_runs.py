"""What a run directory keeps when a write fails or a process is killed."""

from __future__ import annotations

import errno

import pytest

from genlab.contracts import GenlabError
from genlab.runs import RunDirectory, atomic


def test_a_write_that_fails_keeps_what_was_there_and_names_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(GenlabError, match=r"file cannot be written \(No space left"), atomic(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "before"


def test_sweep_removes_what_a_killed_process_left(tmp_path):
    run = RunDirectory(tmp_path)
    kept = run.checkpoint("fit", "last")
    kept.parent.mkdir(parents=True)
    kept.touch()
    kept.with_name(".last.ckpt.123.tmp").touch()
    run.sweep()
    assert list(kept.parent.iterdir()) == [kept]
