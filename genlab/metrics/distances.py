"""Distances between every row of one set and every row of another, a block at a time.

‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y, one matrix product a block: in float64 for short vectors, such as
features, and where x is float64, in float32 for long ones, which is exact for bits. TF32 is off.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.memory import rows_at_once
from genlab.nn.precision import full_precision

SHORT = 128  # columns up to which float64 costs little
COPIES = 4  # of a block that are alive at once


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yields (first row, block): ‖x_i − y_j‖² of some rows of x: (M, d) and all of y: (N, d)."""
    dtype = torch.float64 if x.shape[1] <= SHORT else torch.promote_types(x.dtype, torch.float32)
    x, y = x.to(dtype), y.to(dtype)
    y_norm = y.square().sum(1)
    start = 0
    for part in x.split(block_rows(x, y)):
        with full_precision(x.device):
            block = torch.addmm(y_norm, part, y.T, alpha=-2.0)
        yield start, block.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
        start += len(part)


def block_rows(x: Tensor, y: Tensor) -> int:
    """How many rows of x to hold against all of y at a time."""
    bytes_per_row = COPIES * 8 * len(y)
    what = "row of distances"
    return rows_at_once(len(x), bytes_per_row, x.device, what=what, lower="samples", most=1024)


def radii(x: Tensor, k: int) -> Tensor:
    """(N,) squared distance of each row of x: (N, d) to its k-th nearest other row."""
    found = []
    for start, block in squared_distances(x, x):
        rows = torch.arange(len(block), device=x.device)
        block[rows, rows + start] = torch.inf  # not to itself
        found.append(block.topk(k, dim=1, largest=False).values[:, -1])
    return torch.cat(found)


def nearest(x: Tensor, y: Tensor) -> Tensor:
    """(M,) float64 distance of each row of x: (M, d) to the nearest row of y: (N, d).

    The nearest is found among rounded distances and its own is then computed anew, so that a copy is at
    distance 0.
    """
    index = torch.cat([block.argmin(1) for _, block in squared_distances(x, y)])
    return (x.double() - y[index].double()).square().sum(1).sqrt()
