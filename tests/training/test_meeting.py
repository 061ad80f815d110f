"""Waiting for the other processes of a run: signals are heard, and nobody waits for ever."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from torch.distributed import DistBackendError, DistNetworkError

from genlab.contracts import GenlabError
from genlab.interrupts import Interrupted, handled
from genlab.launch import meet, meeting, misses


def test_they_have_met():
    seen = []
    meet(lambda: seen.append(threading.current_thread()), 2)
    assert len(seen) == 1


def test_what_went_wrong_is_said():
    def join() -> None:
        raise GenlabError("no such host")

    with pytest.raises(GenlabError, match="no such host"):
        meet(join, 2)


@pytest.mark.parametrize("kind", [DistNetworkError, RuntimeError])
def test_that_they_cannot_meet_is_said(monkeypatch, kind):
    monkeypatch.setenv("MASTER_ADDR", "nowhere")
    monkeypatch.setenv("MASTER_PORT", "29400")

    def join() -> None:
        raise kind("no such host\nat frame #1")

    with pytest.raises(GenlabError, match=r"processes cannot meet at nowhere:29400: no such host$"):
        meet(join, 2)


def test_a_signal_is_heard():
    threading.Timer(0.3, signal.raise_signal, (signal.SIGTERM,)).start()
    start = time.monotonic()
    with pytest.raises(Interrupted), handled():
        meet(lambda: time.sleep(20), 2)
    assert time.monotonic() - start < 10


def test_nobody_comes(monkeypatch, capsys):
    monkeypatch.setattr(meeting, "SOON", 0.1)
    monkeypatch.setattr(meeting, "LIMIT", 0.5)
    with pytest.raises(GenlabError, match="not all of the run's 4 processes have come within"):
        meet(lambda: time.sleep(20), 4)
    assert (
        capsys.readouterr().err == "genlab: the process of rank 0 waits for the others, 4 in all\n"
    )


def test_one_that_is_missed():
    lost = "[/src/third_party/gloo/gloo/transport/tcp/pair.cc:537] Connection closed by peer"
    said = "another process of the run has ended (Connection closed by peer)"
    assert misses(RuntimeError(lost)) == said
    assert "remote process exited" in misses(DistBackendError("NCCL error: remote process exited"))
    assert misses(DistBackendError("NCCL error: out of memory")) == ""
    assert misses(RuntimeError("shapes differ")) == ""
    worker = "Caught OSError in DataLoader worker process 0.\nConnection reset by peer"
    assert misses(RuntimeError(worker)) == ""
