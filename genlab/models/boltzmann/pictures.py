"""Figures of Boltzmann machines: filters, chains on their way, and what is drawn given a part."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contracts import Figure, Images

FILTERS = (8, 12)  # rows, columns
FRAMES = 32


def filters(weight: Tensor, shape: tuple[int, ...], name: str, caption: str) -> Figure:
    """weight: (H, D) as images: grey is zero, white and black are weights as strong as the strongest
    hundredth.

    Those with the largest norm come first.
    """
    rows, columns = FILTERS
    order = weight.norm(dim=1).argsort(descending=True)[: rows * columns]
    chosen = weight[order]
    chosen = torch.cat([chosen, chosen.new_zeros(rows * columns - len(chosen), chosen.shape[1])])
    used = -(-len(order) // columns)
    scale = chosen[: len(order)].abs().flatten().quantile(0.99).clamp(min=1e-12)
    pixels = (0.5 + 0.5 * chosen / scale).clamp(0, 1).view(rows, columns, *shape)
    return Figure(name, caption, Images(pixels[:used]))


def spaced(states: Iterator[Tensor], total: int) -> Tensor:
    """(FRAMES, n, D) of ``total`` states, evenly spaced and with the last one."""
    wanted = set(torch.linspace(0, total - 1, FRAMES).round().long().tolist())
    return torch.stack([v for step, v in enumerate(states) if step in wanted])


def reconstructions(x: Tensor, means: Tensor) -> Figure:
    """x and means: (n, *shape) data and their means given the hidden units that they excite."""
    error = float((means - x).square().flatten(1).sum(1).mean())
    return Figure(
        "reconstructions",
        "Test data (above) and their means given the hidden units that they excite (below): squared error "
        f"{error:.1f} an image. A small error says nothing about what else the machine finds likely.",
        Images(torch.stack([x, means])),
    )


def completions(x: Tensor, mask: Tensor, draws: Tensor) -> Figure:
    """draws: (n, B, *shape) of the rest, given x: (B, *shape) where mask, its upper half."""
    return Figure(
        "completions",
        f"Test data (left), their upper half alone, and {len(draws)} draws of the rest given that half.",
        Images(torch.cat([x[:, None], (x * mask)[:, None], draws.transpose(0, 1)], dim=1)),
    )


def classes(draws: Tensor, names: int) -> Figure:
    """draws: (names · n, *shape), n of each label in turn."""
    return Figure(
        "classes",
        "Samples with the label units held at one label: a row for each label.",
        Images(draws.unflatten(0, (names, -1))),
    )
