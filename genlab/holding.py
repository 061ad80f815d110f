"""Holding a folder: one process at a time works on it, and others see whether it lives.

The system lets go of it however the process ends. As a lock is not seen from every other machine, the
holder also touches the file every few seconds.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genlab.errors import UsageError

BEAT = 15.0  # seconds between two signs of life
PATIENCE = 120.0  # seconds without one after which a holder elsewhere is taken for dead


@contextmanager
def holding(file: Path, refusal: str) -> Iterator[None]:
    """Hold it until this is over. Raises UsageError with the refusal where another process does."""
    with file.open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(refusal) from None
        over = threading.Event()
        _touch(file)
        threading.Thread(target=_beat, args=(file, over), daemon=True).start()
        try:
            yield
        finally:
            over.set()


def is_held(file: Path) -> bool:
    """Whether a process on this machine holds it; nothing is changed."""
    if not file.is_file():
        return False
    with file.open("r") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def beats(file: Path) -> bool:
    """Whether its holder, maybe on another machine, has given a sign of life of late.

    One from the future counts: clocks differ and are set back.
    """
    return file.exists() and time.time() - file.stat().st_mtime < PATIENCE


def _beat(file: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        _touch(file)


def _touch(file: Path) -> None:
    """Where the folder is gone, or cannot be written, its owner finds out by himself."""
    with suppress(OSError):
        os.utime(file)
