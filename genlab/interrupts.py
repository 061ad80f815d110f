"""SIGINT and SIGTERM: whoever works on a run stops where it can go on.

A signal raises ``Interrupted`` at once, unless work is going on that would be lost. That is done
``patiently``: it looks at ``asked()`` between two steps, saves, and stops by itself. A second signal waits
for nobody.
"""

from __future__ import annotations

import mmap
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Somebody asked this process to stop. It is no Exception, so that nobody takes it for a failure, and
    no KeyboardInterrupt, which Lightning turns into an exit code of its own."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted ({signal.Signals(signum).name})")
        self.signum = signum
        self.code = code_of(signum)


def code_of(signum: int) -> int:
    """The exit code that a shell expects of a process that a signal ended."""
    return 128 + signum


class _Desk:
    """What has been asked of this process, and whether somebody will look. family: what has been asked of
    it or of one that it has forked, or was forked from.
    """

    signum = 0
    patient = False
    family = mmap.mmap(-1, 1)


def asked() -> int:
    """The signal that asked this process to stop, or one of those it forked; 0 while none has."""
    return _Desk.signum or _Desk.family[0]


def is_awaited() -> bool:
    """Whether somebody will look, and stop in good order."""
    return _Desk.patient


@contextmanager
def handled() -> Iterator[None]:
    """Let these signals raise ``Interrupted``; outside of the main thread nothing changes.

    Whoever called genlab from Python gets the KeyboardInterrupt that Ctrl-C means there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _receive) for signum in SIGNALS}
    outermost = _receive not in before.values()
    try:
        yield
    except Interrupted as stop:
        if outermost and stop.signum == signal.SIGINT:
            raise KeyboardInterrupt from stop
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if outermost:
            _Desk.signum = _Desk.family[0] = 0


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is started within hears these signals once it lets them in: while Python starts, they
    would end it with an exit code that says nothing.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_in() -> None:
    """Hear what has been held back; it raises at once what it would have then."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def patiently() -> Iterator[None]:
    """Let the first signal wait until somebody looks, or until this is over."""
    _Desk.patient = True
    try:
        yield
    finally:
        _Desk.patient = False
    if asked():
        raise Interrupted(asked())


def _receive(signum: int, _frame: FrameType | None) -> None:
    again, _Desk.signum = bool(_Desk.signum), signum
    _Desk.family[0] = signum
    if again or not _Desk.patient:
        raise Interrupted(signum)
