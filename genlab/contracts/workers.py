"""Processes that read batches ahead: forked, as they share the data's memory, and seen to begin.

A fork copies the locks that other threads hold at that moment, and not those threads: a child that needs
one of them waits for ever, and all processes of a run with it. Python up to 3.11.9 itself does so where a
thread of the network is just entering Python (https://github.com/python/cpython/issues/112275). So a worker
says that it has begun, and one that does not is ended and forked again: it has read nothing yet.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.popen_fork import Popen
from types import FrameType
from typing import Any

from genlab.errors import GenlabError
from genlab.interrupts import asked

TOLD = 2.0  # seconds until whoever uses a worker has heard of a signal to all
PATIENCE, TRIES = 15.0, 3  # seconds that a worker may take to begin, and how many are tried


def begin(_worker: int) -> None:
    """What a worker does first.

    A signal to all processes of a run is not for its workers: what uses them stops in good order, and they
    with it. A second one is, and one that this worker alone was sent: the loader has no use for it.
    """

    def leave_soon(signum: int, _frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        leaving = threading.Timer(TOLD, _leave_unless_asked)
        leaving.daemon = True
        leaving.start()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, leave_soon)
    say_that_it_began()


def _leave_unless_asked() -> None:
    if not asked():
        os._exit(0)


def context() -> Any:
    """For a DataLoader: how it makes its workers; None for the platform's own way, where it forks none."""
    forks = multiprocessing.get_context().get_start_method() == "fork"
    return _Context() if forks else None


def say_that_it_began() -> None:
    worker = multiprocessing.current_process()
    if isinstance(worker, _Worker):
        os.write(worker.writer, b".")
        os.close(worker.writer)


class _Forked(Popen):
    """A child that has begun. Raises GenlabError where none does."""

    def __init__(self, process_obj: _Worker) -> None:
        if not any(self._begins(process_obj) for _ in range(TRIES)):
            raise GenlabError(
                f"a process that reads batches ahead did not begin within {PATIENCE:g} s, {TRIES} times: "
                "try trainer.workers=0"
            )

    def _begins(self, process_obj: _Worker) -> bool:
        """Fork once, and end what does not begin. What ends before it has begun is left to the loader."""
        reader, process_obj.writer = os.pipe()
        super().__init__(process_obj)  # the child stays in there
        begun = False
        try:
            os.close(process_obj.writer)
            begun = bool(wait([reader], PATIENCE))
        finally:  # also where a signal ends the waiting
            os.close(reader)
            if not begun:
                self.kill()
                self.wait()
                self.close()
        return begun


class _Worker(ForkProcess):
    writer: int  # its end of the pipe through which it says that it has begun

    @staticmethod
    def _Popen(process_obj: _Worker) -> Popen:
        return _Forked(process_obj)


class _Context(ForkContext):
    Process = _Worker
