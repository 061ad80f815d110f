"""The width of a kernel, chosen on validation data and on nothing else."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from genlab.contracts import DataError, DataModule, Support, UsageError
from genlab.likelihood.kernels import Kernel

LADDERS = {  # smallest and largest width of the default grids, and the factor between neighbours
    Support.BINARY: (1e-4, 0.45, 1.25),  # ε
    Support.LEVELS: (0.02, 1.0, 1.15),  # σ of greys in [0, 1]
    Support.REAL: (0.005, 2.0, 1.15),  # σ of standardised data
}


def default_widths(support: Support) -> tuple[float, ...]:
    """A geometric grid of a support, rounded to three digits."""
    low, high, factor = LADDERS[support]
    steps = math.ceil(math.log(high / low) / math.log(factor))
    return tuple(float(f"{low * (high / low) ** (i / steps):.3g}") for i in range(steps + 1))


def checked_widths(widths: Sequence[float], support: Support) -> tuple[float, ...]:
    """The grid itself. Raises UsageError unless it increases inside what a kernel can have as width."""
    most = 0.5 if support is Support.BINARY else sys.float_info.max
    rising = all(a < b for a, b in pairwise(widths))
    if len(widths) < 3 or not rising or widths[0] <= 0 or widths[-1] > most:
        where = "in (0, 0.5]" if support is Support.BINARY else "above 0"
        raise UsageError(
            f"likelihood.widths={list(widths)} must be three or more increasing numbers {where}"
        )
    return tuple(widths)


def validation_rows(data: DataModule, most: int, name: str) -> Tensor:
    """(at most ``most``, *shape): every k-th validation datum, as a split may be sorted.

    Raises UsageError where there are none, DataError where one is not finite.
    """
    try:
        dataset = data.dataset("val")
    except (KeyError, NotImplementedError):
        dataset = None
    if not dataset:
        raise UsageError(
            f"likelihood={name} chooses its width on validation data, and {data.spec.name} has none: "
            "give the data a split val"
        )
    n = min(most, len(dataset))
    rows = torch.arange(n) * len(dataset) // n
    x = dataset[rows].x
    bad = rows[~x.flatten(1).isfinite().all(1)]
    if len(bad):
        raise DataError(
            f"row {int(bad[0])} of the validation data is not finite: mend or remove it"
        )
    return x


def choose_width(kernel: Kernel, x: Tensor, widths: Sequence[float], of: str) -> float:
    """The width with the highest mean log-likelihood of validation data x: (B, D).

    of: what the kernel smooths, for the error. Raises UsageError where the best width stands at an edge
    of the grid: a better one may lie beyond.
    """
    best = int(kernel.log_mixture(x, widths).mean(1).argmax())
    if best in (0, len(widths) - 1):
        raise UsageError(
            f"the width {widths[best]:g}, best on validation data for the {of}, is at the edge of the "
            f"grid {widths[0]:g} … {widths[-1]:g}: extend likelihood.widths beyond it"
        )
    return widths[best]
