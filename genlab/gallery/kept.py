"""What a page keeps of its run beside the pictures: its numbers. The folder of a page is a run itself.

It can be compared, and shown in another gallery. The weights and the draws as arrays are left behind, and
the names of machines and folders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genlab.runs import RunDirectory
from genlab.trust import Refused
from genlab.trust.files import read_bytes

SETTINGS = "settings.yaml"  # the configuration with every default, among the figures
KEPT = (
    *("config.yaml", "metrics.csv", "scores/*.json", "metrics/*.json", "samples/*.json"),
    *("gallery/*.json", "gallery/likelihoods.npz", f"gallery/{SETTINGS}"),
)
OF_A_SESSION = ("versions", "git", "started")


def kept(run: RunDirectory, record: Mapping[str, Any]) -> dict[str, bytes]:
    """The files by their names in the run. What cannot be read is left out."""
    found = {run.record.name: (json.dumps(public(record), indent=2) + "\n").encode()}
    for path in _files(run):
        try:
            content = read_bytes(path, run.path)
        except (Refused, OSError):
            continue
        name = path.relative_to(run.path).as_posix()
        found[name] = _without_folder(content) if name == run.config.name else content
    return found


def _without_folder(config: bytes) -> bytes:
    """A configuration that does not say where the run was."""
    return re.sub(rb"^folder:.*\n(?:[ \t].*\n)*", b"", config, flags=re.MULTILINE)


def _files(run: RunDirectory) -> Iterator[Path]:
    for pattern in KEPT:
        yield from sorted(run.path.glob(pattern))


def public(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record without what only its owner needs."""
    sessions = record.get("sessions")
    plain = [s for s in sessions if isinstance(s, Mapping)] if isinstance(sessions, list) else []
    words = [str(word) for word in record.get("overrides") or []]
    return {
        **record,
        "overrides": [word for word in words if not word.startswith("folder=")],
        "sessions": [{key: s[key] for key in OF_A_SESSION if key in s} for s in plain],
    }
