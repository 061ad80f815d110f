"""The processes of a run on this machine: rank 0 starts the others, and none outlives another for long.

Each of them is this command once more, with its rank in the environment. Rank 0 watches them: once it has
lost one, it has a while to end by itself, as what it waits for will not come; then it is ended. Where a
signal had asked that one to stop, it ends as if it had been asked too. The others watch whether rank 0 is
still there.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, NamedTuple

from genlab import interrupts
from genlab.errors import UsageError
from genlab.rank import VARIABLE, rank

PARENT = "GENLAB_PARENT"
LOOK = 0.5  # seconds between two looks at the others
GRACE = 20.0  # seconds for rank 0 to find out by itself that another is gone
LEAVE = 5.0  # seconds for the others to end after rank 0 has


def start(processes: int) -> None:
    """Be rank 0 of so many, and start the others; what has been started stays for later runs.

    Raises UsageError where there is no command that could be started again.
    """
    if rank():
        _stay_with_parent()
    if rank() or processes == 1 or _Family.children:
        return
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(free_port()),
        WORLD_SIZE=str(processes),
        NODE_RANK="0",
        LOCAL_RANK="0",
    )
    own = {PARENT: str(os.getpid())}
    for number in range(1, processes):
        place = {"LOCAL_RANK": str(number), VARIABLE: str(number)}
        with interrupts.held_back():
            child = subprocess.Popen(_command(), env=os.environ | own | place)
        _Family.children.append(child)
    threading.Thread(target=_watch_children, daemon=True).start()
    atexit.register(_see_off)


class Loss(NamedTuple):
    """One of the others has gone. words: which and how; empty where none has.

    signum: of the signal that had asked it to stop; 0 where none had.
    """

    words: str = ""
    signum: int = 0

    def __bool__(self) -> bool:
        return bool(self.words)


def loss(patience: float = LEAVE) -> Loss:
    """Which of the others has gone, if one has or does so while this waits (seconds)."""
    until = time.monotonic() + (patience if _Family.children else 0)
    while not (found := _lost(_Family.children)) and time.monotonic() < until:
        time.sleep(LOOK / 5)
    return found


def orphaned(patience: float = LEAVE) -> bool:
    """Whether rank 0, having started this process, has ended or does so while this waits (seconds)."""
    until = time.monotonic() + (patience if _Family.parent else 0)
    while _Family.parent == os.getppid() and time.monotonic() < until:
        time.sleep(LOOK / 5)
    return _Family.parent not in (0, os.getppid())


@contextmanager
def when_stuck(tell: Callable[[Loss], None]) -> Iterator[None]:
    """What rank 0 does before it is ended because another is gone. tell: of the loss."""
    before, _Family.tell = _Family.tell, tell
    try:
        yield
    finally:
        _Family.tell = before


class _Family:
    """The process that started this one, if that was rank 0; or those that this one started."""

    parent = 0
    children: ClassVar[list[subprocess.Popen[bytes]]] = []
    tell: Callable[[Loss], None] = staticmethod(lambda lost: None)


def _lost(children: Sequence[subprocess.Popen[bytes]]) -> Loss:
    for number, child in enumerate(children, 1):
        code = child.poll()
        if code:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            words = f"the process of rank {number} has ended ({how})"
            asked = (s for s in interrupts.SIGNALS if code in (-s, interrupts.code_of(s)))
            return Loss(words, next(asked, 0))
    return Loss()


def _stay_with_parent() -> None:
    """End this process soon after the one that started it, if that was rank 0."""
    if PARENT in os.environ:
        _Family.parent = int(os.environ.pop(PARENT))
        threading.Thread(target=_watch_parent, daemon=True).start()
        interrupts.let_in()


def _watch_children() -> None:
    while not (lost := _lost(_Family.children)):
        if all(child.poll() == 0 for child in _Family.children):
            return
        time.sleep(LOOK)
    time.sleep(LEAVE if lost.signum and not interrupts.is_awaited() else GRACE)
    with suppress(Exception):  # nothing may keep this process alive
        _Family.tell(lost)
    print(f"genlab: {lost.words}: stopped", file=sys.stderr, flush=True)
    _see_off(0)
    os._exit(interrupts.code_of(lost.signum) if lost.signum else 1)


def _watch_parent() -> None:
    while os.getppid() == _Family.parent:
        time.sleep(LOOK)
    time.sleep(LEAVE)
    print(f"genlab: rank 0 has ended: rank {rank()} stopped", file=sys.stderr, flush=True)
    os._exit(1)


def _see_off(patience: float = LEAVE) -> None:
    until = time.monotonic() + patience
    for child in _Family.children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, until - time.monotonic()))
        child.kill()


def _command() -> list[str]:
    """This command, to be run once more."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return [sys.executable, "-m", main.__spec__.name, *sys.argv[1:]]
    if not sys.argv[0] or not os.path.isfile(sys.argv[0]):
        raise UsageError(
            "several processes are started by running a command again, and here is none: write a script, "
            "or use genlab train …"
        )
    return [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
