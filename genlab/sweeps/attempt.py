"""The process that trains one point: ``python -m genlab train … --resume auto``, and how it ended.

Its log is its standard output, which it holds locked while it lives. So whoever comes after a parent that
was killed sees that the point is still being trained, and waits.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from genlab.config import notation
from genlab.runs import RunDirectory, now
from genlab.sweeps.bench import Bench, hold
from genlab.sweeps.environment import surroundings
from genlab.sweeps.points import Point
from genlab.sweeps.stopping import Stop

PROGRAM = (sys.executable, "-m", "genlab")
GRACE = 60.0  # seconds from SIGTERM to SIGKILL
STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. status: completed, failed, or interrupted where it was asked to end.

    run: its run directory, if it made one. exit_code: negative for a signal, None where nobody could ask.
    error: one line of why it failed.
    """

    status: str
    exit_code: int | None = None
    run: Path | None = None
    error: str = ""


@dataclass(frozen=True)
class Work:
    """How points become processes. more: words that every point gets. threads: of each process."""

    bench: Bench
    trusted: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    threads: int | None = None
    folder: str = field(init=False)

    def __post_init__(self) -> None:
        """Here, as Hydra's parser is asked from one thread alone."""
        object.__setattr__(self, "folder", f"folder={notation(str(self.bench.runs))}")

    def command(self, point: Point) -> list[str]:
        trusted = [f"--allow-target={prefix}" for prefix in self.trusted]
        words = [*point.words, *self.more, self.folder, "--resume", "auto"]
        return [*PROGRAM, "train", *words, *trusted]


class Attempt:
    """One process, from waiting for its turn to its outcome. ``look`` at it until it has one."""

    def __init__(self, work: Work, point: Point) -> None:
        self.work, self.point = work, point
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0  # bytes of the log before this process
        self._kill_at: float | None = None  # it was asked to end, and will be made to

    @property
    def run(self) -> RunDirectory | None:
        """The run directory, once there is one."""
        return self.work.bench.run(self.point.fingerprint)

    def look(self) -> Outcome | None:
        """How it ended, or None while it works or waits for another process at the same point."""
        if self._process is None:
            ended = self._kill_at is not None
            return Outcome("interrupted", run=self._path()) if ended else self._begin()
        code = self._process.poll()
        if code is None:
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self._signal(signal.SIGKILL)
            return None
        self._signal(signal.SIGKILL)  # a rank that outlives its leader has nothing left to do
        return self._outcome(code)

    def end(self, *, urgent: bool = False) -> None:
        """Ask the process to end, once; make it where it does not, or at once where that is urgent."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + GRACE
            self._signal(signal.SIGTERM)
        if urgent:
            self._kill_at = 0.0

    def _begin(self) -> Outcome | None:
        file = hold(self.work.bench.log(self.point.number))
        if file is None:
            return None
        with file:
            run = self.run
            if run is not None and run.read()["status"] == "completed":
                return Outcome("completed", 0, run.path)
            return self._start(file)

    def _start(self, log: IO[bytes]) -> Outcome | None:
        command = self.work.command(self.point)
        log.write(f"{now()} {shlex.join(command)}\n".encode())
        log.flush()
        self._said = log.tell()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=surroundings(self.work.threads),
                start_new_session=True,  # a Ctrl-C is the parent's, who passes it on
            )
        except OSError as error:
            return Outcome("failed", error=f"no process could be started ({error.strerror})")
        return None

    def _signal(self, number: int) -> None:
        """To the process and those that it launched."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _outcome(self, code: int) -> Outcome:
        run = self._settled()
        if code == 0 and run is not None:
            return Outcome("completed", code, run)
        if self._kill_at is not None or code in STOPPED:
            return Outcome("interrupted", code, run)
        return Outcome("failed", code, run, self._last_words(code))

    def _path(self) -> Path | None:
        run = self.run
        return None if run is None else run.path

    def _settled(self) -> Path | None:
        """The run directory; its record does not say that a dead process is running."""
        run = self.run
        if run is None:
            return None
        if run.condition(run.read()) == "dead":
            with run.lock():
                run.update(status="interrupted")
        return run.path

    def _last_words(self, code: int) -> str:
        with self.work.bench.log(self.point.number).open("rb") as file:
            file.seek(self._said)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        lines = [line for line in lines if line]
        said = [line for line in lines if line.startswith("genlab: ")] or lines
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return said[-1].removeprefix("genlab: ") if said else f"exit code {code}, without a word"


def carry_out(work: Work, point: Point, stop: Stop) -> Outcome:
    """Attempt a point and wait for its outcome; ended where this process is asked to end."""
    attempt = Attempt(work, point)
    while (outcome := attempt.look()) is None:
        if stop:
            attempt.end(urgent=stop.urgent)
        stop.pause()
    return outcome
