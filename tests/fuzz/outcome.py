"""Running one command of the line in this process, and what is no good end of it."""

from __future__ import annotations

import contextlib
import io
import re
import resource
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from genlab.cli.main import main
from tests.fuzz.canary import CANARY

SECONDS = 10
MEMORY = 2**30  # bytes that a case may take beyond the most that any case has taken before
CODES = (0, 2, 3)


class Hang(BaseException):
    """No Exception: nothing of genlab catches it."""


def run(*words: str | Path, codes: Sequence[int] = CODES) -> int:
    """The exit code. Raises AssertionError for a traceback, a second line, a hang, or code that ran."""
    out, err = io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with limit(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
    said = err.getvalue()
    lines = [line for line in said.splitlines() if line.strip()]
    assert not CANARY.exists(), f"code ran: {words}"
    assert "Traceback" not in said, said
    assert "(--debug shows where)" not in said, f"{said} {_where(words)}"  # nobody foresaw it
    assert code in codes, (code, said)
    if code == 2 and not {"verify", "check"} & set(words[:2]):  # whose findings are their output
        assert len(lines) == 1, said
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after - before < MEMORY, f"{words} took {(after - before) / 2**30:.1f} GiB more"
    return code


def _where(words: Sequence[str | Path]) -> str:
    """Where in the code that was, by running it again."""
    err = io.StringIO()
    with limit(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        main([*(str(word) for word in words), "--debug"])
    places = re.findall(r'File ".*?/(\w+/[\w.]+)", line (\d+), in (\w+)', err.getvalue())
    return " < ".join(":".join(place) for place in places[:-6:-1])


@contextlib.contextmanager
def limit() -> Iterator[None]:
    """Raise Hang after SECONDS, and at the end too: something may have caught it."""
    hung: list[Hang] = []

    def hangs(*_: object) -> None:
        hung.append(Hang(f"no end after {SECONDS} s"))
        raise hung[0]

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if hung:
        raise hung[0]
