"""Figures of Boltzmann machines: filters, and chains on their way."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contracts import Figure, Images

FILTERS = (8, 12)  # rows, columns
FRAMES = 32


def filters(weight: Tensor, shape: tuple[int, ...], name: str, caption: str) -> Figure:
    """weight: (H, D) as images: grey is zero, white the strongest weight, black its negative.

    Those with the largest norm come first.
    """
    rows, columns = FILTERS
    order = weight.norm(dim=1).argsort(descending=True)[: rows * columns]
    chosen = weight[order]
    chosen = torch.cat([chosen, chosen.new_zeros(rows * columns - len(chosen), chosen.shape[1])])
    used = -(-len(order) // columns)
    scale = chosen.abs().max().clamp(min=1e-12)
    pixels = (0.5 + 0.5 * chosen / scale).view(rows, columns, *shape)
    return Figure(name, caption, Images(pixels[:used]))


def spaced(states: Iterator[Tensor], total: int) -> Tensor:
    """(FRAMES, n, D) of ``total`` states, evenly spaced and with the last one."""
    wanted = set(torch.linspace(0, total - 1, FRAMES).round().long().tolist())
    return torch.stack([v for step, v in enumerate(states) if step in wanted])
