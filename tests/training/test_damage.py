"""A checkpoint that is not what was written: the run says so, and ends the same."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from genlab.runs import RunDirectory
from genlab.training.checkpoint_files import SafeCheckpointIO, load_checkpoint, to_go_on_from
from genlab.training.fit import final
from tests.training.running import assert_same, only_run, run, train


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def saved(tmp_path) -> RunDirectory:
    """Two checkpoints of a stage, the first with step 1 and the second with step 2."""
    for step in (1, 2):
        SafeCheckpointIO().save_checkpoint(
            {"step": step}, RunDirectory(tmp_path).checkpoint("fit", "last")
        )
    return RunDirectory(tmp_path)


def goes_on(run: RunDirectory) -> tuple[int | None, list[str]]:
    """The step that it goes on from, and what is said."""
    said: list[str] = []
    found = to_go_on_from(run, "fit", said.append)
    return None if found is None else load_checkpoint(found)["step"], said


def test_it_goes_on_from_the_last(saved):
    assert goes_on(saved) == (2, [])


def test_nothing_to_go_on_from(tmp_path):
    assert goes_on(RunDirectory(tmp_path)) == (None, [])


@pytest.mark.parametrize("damage", [truncate, alter])
def test_a_damaged_last(saved, damage):
    damage(saved.checkpoint("fit", "last"))
    step, (line,) = goes_on(saved)
    assert step == 1
    assert "last.ckpt is damaged" in line
    assert line.endswith("stage 'fit' goes on from previous.ckpt")


def test_a_kill_between_two_names(saved):
    """The last one has its new name, and there is no newer."""
    saved.checkpoint("fit", "last").unlink()
    assert goes_on(saved) == (1, [])


@pytest.mark.parametrize("names", [("last", "previous"), ("best",)])
def test_without_a_whole_one_a_stage_begins_anew(saved, names):
    SafeCheckpointIO().save_checkpoint({"step": 1}, saved.checkpoint("fit", "best"))
    for name in names:
        alter(saved.checkpoint("fit", name))
    step, lines = goes_on(saved)
    assert step is None
    assert [line.split()[0] for line in lines] == [str(saved.checkpoint("fit", n)) for n in names]
    assert all(line.endswith("begins anew") for line in lines)


@pytest.mark.parametrize(("value", "lost"), [(0.5, True), (None, False)])
def test_best_weights_that_are_missing(saved, value, lost):
    """The last ones say whether there were any."""
    states = {"Checkpoints": {"monitored": "val/nll", "best": value, "waited": 0}}
    content = {"step": 3, "callbacks": states}
    SafeCheckpointIO().save_checkpoint(content, saved.checkpoint("fit", "last"))
    step, lines = goes_on(saved)
    best = saved.checkpoint("fit", "best")
    assert (step, lines) == (
        (None, [f"{best} is missing: stage 'fit' begins anew"]) if lost else (3, [])
    )


class Kill(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("fatal", range(1, 9))
def test_a_kill_at_any_write_or_rename_of_a_save(saved, monkeypatch, fatal):
    calls = itertools.count(1)

    def dying(real):
        def call(*args):
            if next(calls) == fatal:
                raise Kill
            return real(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    with pytest.raises(Kill):
        SafeCheckpointIO().save_checkpoint({"step": 3}, saved.checkpoint("fit", "last"))
    assert goes_on(saved) == (2, []), "the one that was whole before"
    assert fatal < 8 or next(calls) == 9, "there is no later moment"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "says"),
    [(["last"], "goes on from previous.ckpt"), (["last", "previous"], "begins anew")],
)
def test_a_run_with_damaged_checkpoints_ends_the_same(tmp_path, names, says):
    train(tmp_path / "a")
    train(tmp_path / "b", kill="step 120 of encode")
    for name in names:
        alter(only_run(tmp_path / "b") / "checkpoints" / "encode" / f"{name}.ckpt")
    done = run(tmp_path / "b", "--resume=auto")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "damaged" in line]
    assert len(lines) == len(names)
    assert all(line.startswith("genlab: ") and line.endswith(says) for line in lines)
    assert_same(only_run(tmp_path / "a"), only_run(tmp_path / "b"))


@pytest.mark.slow
@pytest.mark.parametrize("stages", [["chain"], ["encode", "chain"]])
def test_a_finished_stage_whose_weights_were_damaged_begins_anew(tmp_path, stages):
    train(tmp_path / "a")
    train(tmp_path / "b", kill="step 120 of decode")
    found = RunDirectory(only_run(tmp_path / "b"))
    for stage in stages:
        alter(final(found, stage))
    done = run(tmp_path / "b", "--resume=auto")
    assert done.returncode == 0, done.stderr
    assert f"is damaged (its checksum differs): stage {stages[0]!r} begins anew" in done.stderr
    assert_same(only_run(tmp_path / "a"), only_run(tmp_path / "b"))


@pytest.mark.slow
def test_a_damaged_stage_before_a_whole_one_is_not_needed(tmp_path):
    train(tmp_path / "a")
    train(tmp_path / "b", kill="step 120 of decode")
    found = RunDirectory(only_run(tmp_path / "b"))
    damaged = final(found, "encode")
    alter(damaged)
    done = run(tmp_path / "b", "--resume=auto")
    assert (done.returncode, "damaged" in done.stderr) == (0, False), done.stderr
    alter(damaged)  # the same byte again
    assert_same(only_run(tmp_path / "a"), only_run(tmp_path / "b"))
