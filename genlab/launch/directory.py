"""The run directory that all processes of a run share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from genlab.contracts import UsageError
from genlab.rank import rank
from genlab.runs import RunDirectory

VARIABLE = "GENLAB_RUN_DIR"


@contextmanager
def shared_run(choose: Callable[[], RunDirectory]) -> Iterator[RunDirectory]:
    """The run directory: rank 0 chooses it and tells the others.

    A process that genlab starts finds the path in its environment; processes that already talk to each
    other (started by torchrun or SLURM, or at a second run in one script) are sent it.
    """
    path = choose().path if rank() == 0 else None
    if torch.distributed.is_initialized():
        box = [path]
        torch.distributed.broadcast_object_list(box, src=0)
        path = box[0]
    if path is None:
        path = _announced()
    os.environ[VARIABLE] = str(path)
    try:
        yield RunDirectory(path)
    finally:
        os.environ.pop(VARIABLE, None)


def _announced() -> Path:
    if VARIABLE not in os.environ:
        raise UsageError(
            f"rank {rank()} was not told the run directory: let genlab start the processes itself, "
            f"with trainer=ddp or trainer=ddp_cpu"
        )
    return Path(os.environ[VARIABLE])
