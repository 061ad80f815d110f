"""Figures of Boltzmann machines: filters, chains on their way, and what is drawn given a part."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contracts import Figure, Images

MOST_FILTERS = 96
WIDTHS = (12, 10, 8)  # filters in a row: the first that leaves no gap
FRAMES = 32


def filters(weight: Tensor, shape: tuple[int, ...], name: str, caption: str) -> Figure:
    """weight: (H, D) as images: grey is zero, white and black are weights as strong as the strongest
    hundredth.

    Those with the largest norm come first.
    """
    chosen = weight[weight.norm(dim=1).argsort(descending=True)[:MOST_FILTERS]]
    columns = next((width for width in WIDTHS if len(chosen) % width == 0), WIDTHS[0])
    scale = chosen.abs().flatten().quantile(0.99).clamp(min=1e-12)
    missing = chosen.new_zeros(-len(chosen) % columns, chosen.shape[1])
    pixels = (0.5 + 0.5 * torch.cat([chosen, missing]) / scale).clamp(0, 1)
    return Figure(name, caption, Images(pixels.view(-1, columns, *shape)))


def spaced(states: Iterator[Tensor], total: int) -> Tensor:
    """(FRAMES, n, D) of ``total`` states, spread evenly, with the last one; fewer if there are fewer."""
    wanted = set(torch.linspace(0, total - 1, FRAMES).round().long().tolist())
    return torch.stack([v for step, v in enumerate(states) if step in wanted])


def reconstructions(x: Tensor, means: Tensor) -> Figure:
    """x and means: (n, *shape) data and their means given the hidden units that they excite."""
    return Figure(
        "reconstructions",
        "Test data (above) and their means given the hidden units that they excite (below). How alike they "
        "are says nothing about what else the machine finds likely.",
        Images(torch.stack([x, means])),
    )


def completions(x: Tensor, mask: Tensor, draws: Tensor) -> Figure:
    """draws: (n, B, *shape) of the rest, given x: (B, *shape) where mask, its upper half."""
    return Figure(
        "completions",
        f"Test data (left), their upper half alone, and {len(draws)} draws of the rest given that half.",
        Images.completed(x, mask, draws),
    )


def classes(draws: Tensor, names: int) -> Figure:
    """draws: (names · n, *shape), n of each label in turn."""
    return Figure(
        "classes",
        "Samples with the label units held at one label: a row for each label.",
        Images(draws.unflatten(0, (names, -1))),
    )
