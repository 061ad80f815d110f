"""The training data nearest to samples: a model that copies is found out here."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import BatchSource
from genlab.memory import held
from genlab.metrics.distances import squared_distances

AT_ONCE = 8192  # training data


@torch.no_grad()
def nearest(train: BatchSource, x: Tensor) -> tuple[Tensor, Tensor]:
    """The training data nearest to each of x: (n, *shape), and (n,) float64 Euclidean distances to them.

    The nearest is found among rounded distances and its own is then computed anew, so that a copy is at
    distance 0.
    """
    x = x.cpu()
    row, least = torch.zeros(len(x), dtype=torch.int64), torch.full((len(x),), torch.inf).double()
    for rows in looked_at(train, x).split(AT_ONCE):
        blocks = squared_distances(x.flatten(1), train[rows].x.flatten(1))
        squared, best = torch.cat([block for _, block in blocks]).double().min(1)
        row = torch.where(squared < least, rows[best], row)
        least = torch.minimum(squared, least)
    found = train[row].x
    return found, (x.double() - found.double()).flatten(1).square().sum(1).sqrt()


def looked_at(train: BatchSource, x: Tensor) -> Tensor:
    """(M,) rows: all, or an even share of more training data than are held together."""
    return held(len(train), x[0].numel())
