"""Progress on everything that takes more than two seconds: a bar in a terminal, plain lines elsewhere.

Of several processes, rank 0 says it. No log has it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from genlab.rank import rank
from genlab.tee import Tee

PATIENCE = 2.0  # seconds without a word
INTERVAL = 10.0  # seconds between plain lines

Advance = Callable[[int, str], None]


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Yields ``advance(done, note)``: how much of ``total`` is done by now, and a word about it."""
    if rank() > 0:
        yield lambda done, note="": None
    elif sys.stderr.isatty():
        with _bar() as bar, _above(bar):
            task = bar.add_task(what, total=total, completed=done, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=note)
    else:
        yield _Lines(what, total).advance


def _terminal() -> TextIO:
    """stderr without its log."""
    return sys.stderr.terminal if isinstance(sys.stderr, Tee) else sys.stderr


def _above(bar: Progress) -> AbstractContextManager[None]:
    """What is printed meanwhile is shown above the bar; Rich itself sees to that where there is no log."""
    if not isinstance(sys.stderr, Tee):
        return nullcontext()
    return sys.stderr.shown_by(cast(TextIO, FileProxy(bar.console, _terminal())))


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(
        *columns,
        console=Console(file=_terminal()),
        refresh_per_second=4,
        transient=True,
        redirect_stderr=not isinstance(sys.stderr, Tee),
    )


class _Lines:
    """A line after two seconds, then one every ten, and nothing at all for what is quick."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.start = time.monotonic()
        self.due = self.start + PATIENCE

    def advance(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + INTERVAL
        percent = 100 * done / max(1, self.total)
        elapsed = now - self.start
        print(
            f"{self.what}: {done}/{self.total} ({percent:.0f} %) {note} [{elapsed:.0f} s]",
            file=_terminal(),
            flush=True,
        )
