"""Ctrl-C and SIGTERM as something to look at, so that processes are ended and records written first."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

POLL = 0.1  # seconds between two looks at processes and signals


class Stop:
    """Whether somebody asked this process to end, from ``with`` to its end.

    signal: the first that came, or None. urgent: whether another came after it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.urgent = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 and the signal, as a shell would say; 0 where none came."""
        return 0 if self.signal is None else 128 + self.signal

    def pause(self) -> None:
        """Short, because a lock would not be safe to take inside a signal handler."""
        time.sleep(POLL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.urgent = self.signal is not None
        self.signal = self.signal or number
