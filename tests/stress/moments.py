"""When a run is killed: at any time, or soon after something has appeared in its directory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

LOOK = 0.001  # seconds between two looks into a directory


@dataclass(frozen=True)
class Moment:
    """So many seconds after a file of this pattern has appeared; after the start where there is none."""

    name: str
    after: float
    appears: str = ""

    def earlier(self, chance: random.Random) -> Moment:
        return replace(self, after=self.after * chance.random())

    def wait(self, folder: Path, alive: Callable[[], bool]) -> bool:
        """Until then; False where the run ended before."""
        known = set() if not self.appears else _files(folder, self.appears)
        while self.appears and _files(folder, self.appears) <= known:
            if not alive():
                return False
            time.sleep(LOOK)
        until = time.monotonic() + self.after
        while alive() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return alive()


def moments(chance: random.Random, seconds: float, whole: Path) -> list[Moment]:
    """In the order in which a run comes past them. whole: the undisturbed one; it took so many seconds."""
    *_, (trained, stage) = sorted(
        (mark.stat().st_mtime, mark.parent.name)
        for mark in whole.glob("checkpoints/*/finished.json")
    )
    pictures = "samples" if (whole / "samples").is_dir() else "gallery"
    pictured = min(path.stat().st_mtime for path in (whole / pictures).iterdir())
    ended = (whole / "run.json").stat().st_mtime
    evaluation = chance.uniform(0, pictured - trained)
    return [
        Moment("any time", chance.uniform(0, seconds)),
        Moment("any time", chance.uniform(0.3, 1) * seconds),
        Moment("writing a checkpoint", chance.uniform(0, 0.002), "*/checkpoints/*/.*.tmp"),
        Moment("between stages", chance.uniform(0, 0.05), "*/checkpoints/*/finished.json"),
        Moment("evaluation", evaluation, f"*/checkpoints/{stage}/finished.json"),
        Moment("gallery", chance.uniform(0, ended - pictured), f"*/{pictures}/*"),
    ]


def _files(folder: Path, pattern: str) -> set[tuple[Path, int]]:
    """With what tells a new file from an old one of its name."""
    found = set()
    for path in folder.glob(pattern):
        try:
            found.add((path, path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue
    return found
