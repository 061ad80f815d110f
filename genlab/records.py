"""A run's record, as a stranger may have written it: what is there is of the type that readers expect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genlab.errors import UsageError
from genlab.shapes import NOTHING, NUMBER, TEXT, require

TYPES: dict[str, type | tuple[type, ...]] = {
    "status": str,
    "fingerprint": str,
    "overrides": list,
    "trusted": list,
    "seed": int,
    "spec": dict,
    "stages": list,
    "losses": dict,
    "threads": int,
    "parameters": int,
    "generative": bool,
    "world_size": int,
    "plugins": dict,
    "sessions": list,
    "heartbeat": str,
    "doing": str,
    "progress": (dict, NOTHING),
    "training_seconds": NUMBER,
    "selection": (dict, NOTHING),
    "error": (str, NOTHING),
    "export": dict,
}
INNER = {
    "spec?": {
        "name?": str,
        "variant?": str,
        "shape?": [int],
        "support?": str,
        "levels?": (int, NOTHING),
    },
    "sessions?": [{"versions?": dict, "git?": TEXT}],
    "sketch?": {"train": [NUMBER], "val": [NUMBER]},
    "summary?": TEXT,
    "finished?": TEXT,
}
NEEDED = ("status", "fingerprint", "seed", "spec", "stages")
RESUMED = (*NEEDED, "threads", "sessions")
THREADS = 1024  # of a process, at most
PROGRESS = ("number", "stages", "step", "steps")
STAGE = re.compile(r"[\w.-]{1,100}")  # a stage is a folder, too


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Raise UsageError, in one line, for what has another type than a run writes."""
    for key, kind in TYPES.items():
        if key in record and not _is(record[key], kind):
            kind_of = type(record[key]).__name__
            raise UsageError(f"{path}: {key} is a {kind_of}: it is not what a run writes")
    for stage in record.get("stages", []):
        if not isinstance(stage, str) or not STAGE.fullmatch(stage) or set(stage) == {"."}:
            raise UsageError(f"{path}: {stage!r} is no name of a stage")
    for key in ("overrides", "trusted"):
        if not all(isinstance(word, str) for word in record.get(key, [])):
            raise UsageError(f"{path}: {key} are no words")
    try:
        require(record, INNER)
    except TypeError as error:
        raise UsageError(f"{path}: {error}: it is not what a run writes") from None
    progress = record.get("progress")
    if progress and not all(_is(progress.get(key), NUMBER) for key in PROGRESS):
        raise UsageError(f"{path}: progress is not what a run writes")


def require_whole(record: Mapping[str, Any], path: Path, needed: Sequence[str] = NEEDED) -> None:
    """Raise UsageError where it lacks something; by default what a model cannot be built without."""
    missing = [key for key in needed if key not in record]
    if missing:
        raise UsageError(f"{path}: there is no {missing[0]} in it")
    if not all(isinstance(record["spec"].get(key), str) for key in ("name", "variant")):
        raise UsageError(f"{path}: spec has no name and variant")


def require_resumable(record: Mapping[str, Any], path: Path) -> None:
    """Raise UsageError where it lacks something that a run goes on with."""
    require_whole(record, path, RESUMED)
    if not 1 <= record["threads"] <= THREADS:
        raise UsageError(
            f"{path}: threads is {record['threads']}, not in 1 to {THREADS}: correct it"
        )
    if not all(isinstance(session.get("host"), str) for session in record["sessions"]):
        raise UsageError(f"{path}: a session has no host: it is not what a run writes")


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
