"""A terminal whose words a file has too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from typing import Any, TextIO


class Tee:
    """Stands for a terminal; what is printed to it goes into a log as well.

    A bar that paints over itself is given ``terminal`` itself, and shows what is printed meanwhile.
    """

    def __init__(self, terminal: TextIO, log: RawIOBase) -> None:
        self.terminal, self.log = terminal, log
        self._shown = terminal

    def write(self, text: str) -> int:
        self.note(text)
        return self._shown.write(text)

    def note(self, text: str) -> None:
        """Into the log alone. A disk that is full ends no run; a log that is closed takes no more."""
        with suppress(OSError, ValueError):
            self.log.write(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        self._shown.flush()

    @contextmanager
    def shown_by(self, bar: TextIO) -> Iterator[None]:
        """Meanwhile, what is printed is shown by this in the place of the terminal."""
        before, self._shown = self._shown, bar
        try:
            yield
        finally:
            self._shown = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)
