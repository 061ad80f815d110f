"""What processes find around them: what their parent found, and their share of the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from genlab.runs import fair_threads

# By these, processes that were launched together know each other. What a sweep starts is a training by
# itself, also where the sweep, or the job that it is, was launched by srun.
RANKS = frozenset(
    [
        "RANK",
        "LOCAL_RANK",
        "GROUP_RANK",
        "NODE_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "TORCHELASTIC_RUN_ID",
        "GENLAB_RUN_DIR",
        "GENLAB_RANK",
        "GENLAB_PARENT",
        "SLURM_PROCID",
        "SLURM_LOCALID",
        "SLURM_NODEID",
        "SLURM_NTASKS",
        "SLURM_NTASKS_PER_NODE",
        "SLURM_NNODES",
    ]
)


def surroundings(threads: int | None = None) -> dict[str, str]:
    """The parent's environment. threads: of each process, where nobody has said how many.

    A process looks for modules where its parent did: ``python -m`` would put the current folder first.
    """
    found = {name: value for name, value in os.environ.items() if name not in RANKS}
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
