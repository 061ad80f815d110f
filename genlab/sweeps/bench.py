"""The directory of a sweep or a study: its record, the log of each point, and their runs.

sweep.json or tune.json   what was asked and how far it is, whole at every moment
logs/001.txt              what the process of each point said
runs/                     run directories, as genlab train makes them
.lock                     held while a process works on it
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from genlab import shapes
from genlab.errors import UsageError
from genlab.runs import SCHEMA, RunDirectory, create, require_writable, write_json
from genlab.trust import read_json


@dataclass(frozen=True)
class Bench:
    """verb: "sweep" or "tune", whose record it holds."""

    path: Path
    verb: str

    @property
    def record(self) -> Path:
        return self.path / f"{self.verb}.json"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    def log(self, number: int) -> Path:
        return self.path / "logs" / f"{number:03d}.txt"

    def read(self) -> dict[str, Any]:
        """The record. Raises UsageError where there is none that genlab could have written."""
        if not self.record.is_file():
            raise UsageError(
                f"{self.path} is no directory of genlab {self.verb}: it has no {self.record.name}"
            )
        found = read_json(self.record)
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise UsageError(f"{self.record} is no record of schema {SCHEMA}")
        try:
            shapes.require(found, shapes.SWEEP if self.verb == "sweep" else shapes.TUNE)
        except TypeError as error:
            raise UsageError(f"{self.record} is not what genlab writes: {error}") from None
        return found

    def write(self, record: dict[str, Any]) -> None:
        write_json(self.record, {"schema": SCHEMA} | record)

    def run(self, fingerprint: str) -> RunDirectory | None:
        """The run of this hash, a completed one before others; None where none has begun."""
        found = []
        for path in sorted(self.runs.glob(f"*-{fingerprint[:6]}*/run.json")):
            try:
                record = RunDirectory(path.parent).read()
            except UsageError:  # one that was cut off at its beginning
                continue
            if record["fingerprint"] == fingerprint:
                found.append((record["status"] == "completed", path.parent))
        return RunDirectory(max(found)[1]) if found else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold it for this process.

        Raises UsageError where another living process does, or nothing can be written there.
        """
        require_writable(self.path)
        file = hold(self.path / ".lock")
        if file is None:
            raise UsageError(f"{self.path} is being worked on by another process")
        with file:
            yield


def require_new(verb: str, given: Path | None) -> None:
    """Raise UsageError where no new directory can be made: asked before the work."""
    if given is None:
        return
    if "${" in str(given):
        raise UsageError(
            f"-o {given}: ${{ would be read as a reference to a key: give another name"
        )
    if Bench(given, verb).record.is_file():
        raise UsageError(f"{given} already holds one: type genlab {verb} --resume {given}")
    if given.exists() and not given.is_dir():
        raise UsageError(f"-o {given}: no directory can be made there (File exists)")
    if given.exists() and any(given.iterdir()):
        raise UsageError(f"-o {given}: there is something in it already: give another directory")
    require_writable(given)


def new(verb: str, given: Path | None, name: str, fingerprint: str) -> Bench:
    """A new directory, the given one or ``sweeps/<time>-<name>-<hash>`` (``studies/…`` for tune).

    Raises UsageError where it cannot be made or already holds something.
    """
    if given is None:
        home = Path("sweeps" if verb == "sweep" else "studies")
        return Bench(create(home, name, fingerprint).path, verb)
    require_new(verb, given)
    try:
        given.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"-o {given}: no directory can be made there ({error.strerror})") from None
    return Bench(given, verb)


def hold(path: Path) -> IO[bytes] | None:
    """The file, held by whoever has it open, this process or one that inherits it; None where another
    living process holds it. The system lets go of it however they end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
