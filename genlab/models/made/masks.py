"""The masks that make an autoencoder autoregressive (Germain et al. 2015, section 3).

Input and output d stand at position ``positions[d]`` of an ordering, 0 … D-1. A hidden unit of degree
m sees inputs, and units, up to position or degree m; the output at position p sees units of degree
below p, so x_d depends on what stands before it and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def positions(size: int, random: bool, generator: Generator) -> Tensor:
    """(D,) int32: the position of each dimension in one ordering."""
    if not random:
        return torch.arange(size, dtype=torch.int32)
    return torch.randperm(size, generator=generator).int()


def degrees(size: int, hidden: int, generator: Generator) -> Tensor:
    """(H,) int32 in 0 … D-2, spread evenly and assigned to units at random.

    The paper draws them independently; an even spread has the same distribution and leaves no gaps.
    """
    spread = torch.arange(hidden) * max(1, size - 1) // hidden
    return spread[torch.randperm(hidden, generator=generator)].int()


def masks(position: Tensor, layers: Sequence[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Boolean masks of one ordering: of each hidden layer (H_l, H_{l-1}), output (D, H), direct (D, D).

    position: (D,). layers: the degrees (H_l,) of each hidden layer.
    """
    hidden, below = [], position
    for degree in layers:
        hidden.append(below[None, :] <= degree[:, None])
        below = degree
    output = position[:, None] > below[None, :]
    direct = position[:, None] > position[None, :]
    return hidden, output, direct
