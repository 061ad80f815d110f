"""How much may be computed at a time, as block sizes follow the memory there is, and how much data held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor

from genlab.errors import UsageError

SHARE = 0.5  # of the free memory that one computation may take
HELD = 2**28  # numbers of training data that are held together: 1 GiB of float32


def available(device: torch.device) -> int:
    """Free bytes of a device; of the machine for the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def require_room_for_samples(n: int, size: int) -> None:
    """Raise UsageError where n draws of so many numbers would not be held twice, in blocks and as one."""
    rows_at_once(1, 2 * 4 * size * n, torch.device("cpu"), what=f"set of {n} samples", lower="--n")


def rows_at_once(
    rows: int, bytes_per_row: int, device: torch.device, *, what: str, lower: str, most: int = 2**16
) -> int:
    """How many of ``rows`` to compute at a time; 1 at least.

    Only for computations without random draws: what fits must not decide any number.
    what, lower: what a row is and which setting makes it smaller, for the UsageError where none fits.
    """
    free = int(SHARE * available(device))
    if bytes_per_row > free:
        raise UsageError(
            f"one {what} takes {bytes_per_row / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB may be "
            f"used: lower {lower}"
        )
    return max(1, min(rows, most, free // bytes_per_row))


def held(n: int, size: int) -> Tensor:
    """Which of n data of ``size`` numbers are looked at together: all, or where those are too many a share.

    (M,) int64, in order, spread evenly. It does not follow the memory there is, since results depend on it.
    """
    m = min(n, max(1, HELD // size))
    return torch.arange(m) * n // m if m else torch.arange(0)


@contextmanager
def must_fit(what: str, lower: str) -> Iterator[None]:
    """Where an allocation fails inside, UsageError says what did not fit and which setting to lower.

    For what draws random numbers: its size is a setting, and memory does not decide it.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise UsageError(f"{what} do not fit into memory: lower {lower}") from error


def _out_of_memory(error: Exception) -> bool:
    words = ("not enough memory", "can't allocate memory")  # torch, on the CPU
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        w in str(error) for w in words
    )
