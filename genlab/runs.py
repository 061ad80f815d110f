"""A run directory: what was asked, what happened, what came out. Needs no torch and no data to open.

Every file is written whole: to a temporary name, flushed to disk, then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

from genlab.errors import GenlabError, UsageError
from genlab.holding import PATIENCE, beats, holding, is_held
from genlab.records import check_record, require_whole
from genlab.sums import require_listed
from genlab.trust import Refused, read_json, read_text, read_yaml

SCHEMA = 1
MOST_THREADS = 8  # of a process: small models do not gain from more


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all: the previous one survives a full disk and a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise GenlabError(f"{path} cannot be written ({reason}): what was there is kept") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    with atomic(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Standard JSON: a NaN is an error here; write None and a reason instead."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n")


def require_writable(folder: Path) -> None:
    """Asked before the work, not after it. Raises UsageError where no file can be made in a folder."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is no folder: name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{there} cannot be written: name a folder or a copy that can")


def digest(value: Any) -> str:
    """Hexadecimal sha256 of a JSON value, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


TRAINING = "training"  # what a run is doing first; then "scoring" and "drawing"


@dataclass(frozen=True)
class RunDirectory:
    """The layout of one run, and the only place that knows its file names."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def config(self) -> Path:
        return self.path / ("config.json" if self.exported else "config.yaml")

    @property
    def weights(self) -> Path:
        """Of an export, which has no checkpoints."""
        return self.path / "model.safetensors"

    @property
    def exported(self) -> bool:
        """Whether this is what genlab export wrote: one model and its scores, which nothing changes."""
        return self.weights.is_file()

    @property
    def curves(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def scores(self) -> Path:
        return self.path / "scores"

    @property
    def metrics(self) -> Path:
        """Of sample quality; the curves of training are another file."""
        return self.path / "metrics"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def log(self, rank: int) -> Path:
        """What a process has printed: rank 0 to stderr, the others to both streams."""
        return self.path / "logs" / f"rank-{rank}.log"

    @property
    def figures(self) -> Path:
        return self.path / "gallery"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, stage: str, which: str) -> Path:
        """which: "last", "previous" or "best"."""
        return self.checkpoints / stage / f"{which}.ckpt"

    def finished(self, stage: str) -> Path:
        """The mark of a stage that has ended, with its world size and its final weights."""
        return self.checkpoints / stage / "finished.json"

    def read(self) -> dict[str, Any]:
        """The run record.

        Raises UsageError where this is no run directory.
        """
        if not self.path.is_dir():
            raise UsageError(
                f"no run directory at {self.path}: give the path that genlab train printed"
            )
        for file in (self.record, self.config):
            if not file.is_file():
                raise UsageError(f"{self.path} is not a run directory: it has no {file.name}")
        if self.exported:
            require_listed(self.path, self.record.name)
            require_listed(self.path, self.config.name)
        record = read_json(self.record, self.path)
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise UsageError(f"{self.record} is no run record of schema {SCHEMA}")
        check_record(record, self.record)
        return record

    def read_config(self) -> dict[str, Any]:
        """The configuration. Raises UsageError where it cannot be read, or is no keys and values."""
        config = (read_json if self.exported else read_yaml)(self.config, self.path)
        if not isinstance(config, dict):
            raise UsageError(f"{self.config}: expected keys and values, as model: …")
        return config

    def sweep(self) -> None:
        """Remove the temporary files that a killed process left."""
        for file in self.path.rglob(".*.tmp"):
            file.unlink()

    def update(self, **changes: Any) -> None:
        """Change fields of the run record, and its heartbeat."""
        write_json(self.record, self._known() | changes | {"heartbeat": now()})

    def spend(self, seconds: float, **changes: Any) -> None:
        """Add to the time spent in training, and change fields."""
        before = self._known().get("training_seconds", 0.0)
        self.update(training_seconds=round(before + seconds, 3), **changes)

    def _known(self) -> dict[str, Any]:
        return read_json(self.record) if self.record.exists() else {}

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def require_run(self) -> None:
        """Raise UsageError where it is an export."""
        if self.exported:
            raise UsageError(
                f"{self.path} is an export, which no training goes on with: name a run"
            )

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run for this process.

        Raises UsageError where another living process holds it, or it cannot be written.
        """
        self.require_run()
        require_writable(self.path)
        return holding(self._lock, f"{self.path} is being trained by another process")

    def last_sign(self, record: Mapping[str, Any]) -> str:
        """When it last gave a sign of life: in its record, or by touching its lock, as it always does."""
        signs = [str(record.get("heartbeat", "an unknown time"))]
        if self._lock.is_file():
            touched = datetime.fromtimestamp(self._lock.stat().st_mtime, UTC)
            signs.append(touched.isoformat(timespec="seconds"))
        return max(signs)

    def condition(self, record: Mapping[str, Any]) -> str:
        """The status in its record; "dead" where that says running and no process works on it."""
        if record["status"] != "running":
            return record["status"]
        sessions = record.get("sessions") or [{}]
        elsewhere = sessions[-1].get("host", socket.gethostname()) != socket.gethostname()
        return "running" if (beats if elsewhere else is_held)(self._lock) else "dead"


def create(folder: Path, name: str, fingerprint: str) -> RunDirectory:
    """A new, empty run directory ``<time>-<name>-<hash>``, with a counter where that is taken."""
    require_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"folder={folder}: no directory can be made there ({error.strerror})"
        ) from None
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}-{fingerprint[:6]}"
    for counter in range(1, 1000):
        path = folder / (stem if counter == 1 else f"{stem}-{counter}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return RunDirectory(path)
    raise UsageError(f"{folder} already holds 999 runs named {stem}")


def find(folder: Path) -> list[RunDirectory]:
    """The run directories in a folder, oldest first."""
    return [RunDirectory(p.parent) for p in sorted(folder.glob("*/run.json"))]


def unfinished(
    folder: Path, fingerprint: str, pass_over: Callable[[str], None] = lambda why: None
) -> RunDirectory | None:
    """The run of this hash that did not complete; None where there is none.

    pass_over: told why a run cannot be read.

    Raises UsageError where several could be meant, or where the only one is still alive.
    """
    matches = []
    for run in find(folder):
        try:
            record = run.read()
            require_whole(record, run.record)
        except (
            UsageError
        ) as error:  # somebody else's folder, or one that was cut off at its beginning
            pass_over(str(error))
            continue
        if record["fingerprint"] == fingerprint and record["status"] != "completed":
            matches.append(run)
    for run in matches:
        if run.condition(run.read()) == "running":
            raise UsageError(
                f"{run.path} has these settings and is still running; where its machine is gone, this is "
                f"known {PATIENCE:.0f} seconds after its last sign of life"
            )
    if len(matches) > 1:
        names = ", ".join(run.path.name for run in matches)
        raise UsageError(
            f"several unfinished runs have these settings ({names}): --resume one of them"
        )
    return matches[0] if matches else None


def cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fair_threads(processes: int) -> int:
    """Threads for each of so many processes on this machine."""
    return max(1, min(MOST_THREADS, cpus() // max(1, processes)))


def train_command(record: Mapping[str, Any], *more: str) -> str:
    """What to type to have this run again. more: words beside those of the record."""
    words = [str(word) for word in record.get("overrides") or []]
    trusted = [f"--allow-target={prefix}" for prefix in record.get("trusted") or []]
    return shlex.join(["genlab", "train", *words, *trusted, *more])


def environment() -> dict[str, Any]:
    """What a number may depend on beside the configuration: versions, machine, command."""
    return {
        "argv": sys.argv,
        "started": now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "platform": platform.platform(),
        "cpus": cpus(),
        "versions": versions(),
        "git": _git_revision(),
        "clock": time.time(),
    }


def versions() -> dict[str, str | None]:
    """Of everything whose change may change a number."""
    packages = ("genlab", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")
    return {"python": platform.python_version()} | {p: _version(p) for p in packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The commit that the current directory is at, where it is a checkout (read without running git).

    What is no commit is not written down: whoever made the folder chose which file is read here.
    """
    try:
        text = read_text(Path(".git/HEAD"), Path(".git")).strip()
        if text.startswith("ref: "):
            text = read_text(Path(".git", text[5:]), Path(".git")).strip()
    except Refused:
        return None
    return text if re.fullmatch(r"[0-9a-f]{40,64}", text) else None
