"""What a run says on stderr is kept in its directory, whatever becomes of the terminal."""

from __future__ import annotations

import io
import signal
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.errors import GenlabError
from genlab.launch import write_also_into
from genlab.progress import progress
from tests.training.running import only_run, run, train
from tests.training.test_damage import truncate

QUICK = ["stages.fit.max_epochs=1", "model.hidden=[8]", "evaluate=[]", "gallery=false"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def log_of(folder: Path, rank: int = 0) -> str:
    return (only_run(folder) / "logs" / f"rank-{rank}.log").read_text()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def test_what_is_said_is_in_both(tmp_path):
    before = sys.stderr
    with redirect_stderr(io.StringIO()) as terminal:
        for line in ("one", "zwei ±"):  # of two sessions
            with write_also_into(tmp_path / "logs/rank-0.log"):
                say(line)
        say("later")
    assert sys.stderr is before
    assert terminal.getvalue() == "one\nzwei ±\nlater\n"
    assert (tmp_path / "logs/rank-0.log").read_text() == "one\nzwei ±\n"


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_progress_is_in_the_terminal_alone(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("genlab.progress.PATIENCE", -1.0)
    monkeypatch.setattr("genlab.progress.INTERVAL", 0.0)
    with redirect_stderr(kind()) as terminal, write_also_into(tmp_path / "log"):
        with progress("outer", 3) as outer, progress("inner", 2) as inner:
            outer(1, "")
            say("a word")
            inner(1, "")
            time.sleep(0.5)
        say("after")
    assert (tmp_path / "log").read_text() == "a word\nafter\n"
    assert all(word in terminal.getvalue() for word in ("outer", "inner", "a word\n", "after\n"))


def test_a_bar_without_a_log_is_as_ever(monkeypatch):
    with redirect_stderr(Terminal()) as terminal, progress("what", 3) as advance:
        advance(1, "")
        say("a word")
        time.sleep(0.5)
    assert all(word in terminal.getvalue() for word in ("what", "a word\n"))


def test_an_error_is_the_last_word(tmp_path):
    with pytest.raises(GenlabError), write_also_into(tmp_path / "log"):
        raise GenlabError("the loss\nis nan")
    with pytest.raises(ZeroDivisionError), write_also_into(tmp_path / "log"):
        1 / 0  # noqa: B018
    first, second, *_, last = (tmp_path / "log").read_text().splitlines()
    assert first == "genlab: the loss is nan"
    assert second == "Traceback (most recent call last):"
    assert last == "ZeroDivisionError: division by zero"


def test_a_full_disk_is_no_reason_to_stop(tmp_path, monkeypatch):
    with redirect_stderr(io.StringIO()) as terminal, write_also_into(Path("/dev/full")):
        say("a word")
    assert terminal.getvalue() == "a word\n"


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "logs").write_text("")
    log = write_also_into(tmp_path / "logs/rank-0.log")
    with pytest.raises(GenlabError, match=r"rank-0\.log cannot be written"), log:
        pass


def test_an_error_of_a_run(tmp_path, capsys):
    words = ["data=digits", "optimizer=sgd", "optimizer.lr=1e30", f"folder={tmp_path}"]
    assert main(["train", *QUICK, *words]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("genlab: ")
    assert log_of(tmp_path).splitlines()[-1] == said


def test_a_run_that_another_process_trains_keeps_its_log(tmp_path, monkeypatch):
    assert main(["train", *QUICK, f"folder={tmp_path}"]) == 0
    monkeypatch.setattr("genlab.runs.RunDirectory.condition", lambda *_: "running")
    before = log_of(tmp_path)
    assert main(["train", *QUICK, f"folder={tmp_path}", f"--resume={only_run(tmp_path)}"]) == 2
    assert log_of(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
def test_of_all_sessions(tmp_path, trainer):
    word = f"trainer={trainer}"
    done = run(tmp_path, word, kill="step 120 of chain", by=signal.SIGTERM, rank=0)
    assert done.stderr.splitlines()[-1] == log_of(tmp_path).splitlines()[-1]
    truncate(only_run(tmp_path) / "checkpoints/chain/last.ckpt")
    train(tmp_path, word, "--resume=auto")
    assert "genlab: interrupted (SIGTERM)" in log_of(tmp_path)
    assert "last.ckpt is damaged" in log_of(tmp_path)
    assert "\x1b" not in log_of(tmp_path)
    if trainer == "ddp_cpu":
        assert "damaged" not in log_of(tmp_path, rank=1)
