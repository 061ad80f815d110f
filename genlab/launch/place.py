"""The place of a process that something else has started."""

from __future__ import annotations

import os

from genlab.errors import UsageError
from genlab.rank import VARIABLE

STARTED = {"torchrun": ("WORLD_SIZE", "RANK"), "slurm": ("SLURM_NTASKS", "SLURM_PROCID")}


def take_place(launcher: str, processes: int) -> None:
    """Learn the rank of a process that torchrun or SLURM started; those of genlab are told theirs.

    Raises UsageError where another number of processes was started than the trainer is for.
    """
    if launcher == "genlab":
        if "TORCHELASTIC_RUN_ID" in os.environ:
            raise UsageError("torchrun started this process: type trainer=torchrun")
        return
    started, own = (os.environ.get(name) for name in STARTED[launcher])
    if int(started or 1) != processes:
        raise UsageError(
            f"{launcher} started {started or 1} processes, but trainer.devices × trainer.num_nodes is "
            f"{processes}: leave both out, as trainer={launcher} finds them"
        )
    os.environ[VARIABLE] = own or "0"
