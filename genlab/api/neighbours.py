"""Samples beside the training data nearest to them: a model that copies shows it here."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contracts import BatchSource, DataSpec, Figure, Images
from genlab.contracts.loading import stretches
from genlab.metrics.distances import squared_distances

NEAREST = 5  # of each sample
AT_ONCE = 8192  # training data


@torch.no_grad()
def neighbours(train: BatchSource, samples: Tensor, spec: DataSpec) -> Iterator[Figure]:
    """One figure of samples: (n, *shape) of images in [0, 1]; nothing for other data."""
    if not spec.is_image or spec.levels is None or not len(train):
        return
    x = samples.cpu()
    near = train[nearest_rows(train, x, min(NEAREST, len(train))).flatten()].x
    shown = torch.cat([x[:, None], near.unflatten(0, (len(x), -1))], dim=1)
    yield Figure(
        "neighbours",
        f"Samples (left), and beside each the {shown.shape[1] - 1} training data nearest to it.",
        Images(shown),
    )


def nearest_rows(train: BatchSource, x: Tensor, k: int) -> Tensor:
    """(n, k) rows of the training data nearest to each of x: (n, *shape), the nearest first."""
    found, distance = torch.empty(len(x), 0, dtype=torch.int64), torch.empty(len(x), 0)
    for rows in stretches(len(train), AT_ONCE):
        blocks = squared_distances(x.flatten(1), train[rows].x.flatten(1))
        squared = torch.cat([block for _, block in blocks])
        distance = torch.cat([distance, squared], dim=1)
        found = torch.cat([found, rows.expand(len(x), -1)], dim=1)
        distance, best = distance.topk(min(k, distance.shape[1]), dim=1, largest=False)
        found = found.gather(1, best)
    return found
