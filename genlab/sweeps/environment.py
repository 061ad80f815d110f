"""What processes find around them: what their parent found, and their share of the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from genlab.runs import fair_threads


def surroundings(threads: int | None = None) -> dict[str, str]:
    """The parent's environment. threads: of each process, where nobody has said how many.

    A process looks for modules where its parent did: ``python -m`` would put the current folder first.
    """
    found = dict(os.environ)
    if sys.path[0] not in ("", str(Path.cwd())):
        found["PYTHONSAFEPATH"] = "1"
    if threads is not None:
        found.setdefault("OMP_NUM_THREADS", str(threads))
    return found


def share(jobs: int, processes: int) -> int | None:
    """Threads of each process where so many trainings of so many processes share this machine; None for a
    training alone, which chooses for itself.
    """
    return None if jobs <= 1 else fair_threads(jobs * processes)
