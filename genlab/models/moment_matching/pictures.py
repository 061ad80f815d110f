"""What a moment matching network can show: how its data follow from noise, and from codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, Figure, Images, Plane

if TYPE_CHECKING:
    from genlab.models.moment_matching.autoencoder import _CodeSpace
    from genlab.models.moment_matching.model import MomentMatching

ROWS, COLUMNS = 8, 12
POINTS, FRAMES = 1000, 25


@torch.no_grad()
def of_noise(model: MomentMatching, generator: Generator) -> Iterator[Figure]:
    if model.spec.is_picture:
        first, last = (model.draw_noise(ROWS, generator) for _ in range(2))
        z = between(first, last, COLUMNS)
        yield Figure(
            "noise-interpolations",
            "Each row leads from one sample to another on a straight line in the space of the noise.",
            Images(model.output.mean(model.theta_of(z.flatten(0, 1))).unflatten(0, z.shape[:2])),
        )
    elif model.spec.shape == (2,) and model.spec.levels is None:
        first, last = (model.draw_noise(POINTS, generator) for _ in range(2))
        points = model.theta_of(between(first, last, FRAMES).transpose(0, 1).flatten(0, 1))
        yield Figure(
            "noise-interpolations",
            f"{POINTS} samples while the noise of each moves on a straight line to another.",
            Plane(points.unflatten(0, (FRAMES, POINTS))),
            animated=True,
        )


@torch.no_grad()
def of_codes(model: _CodeSpace, batch: Batch) -> Iterator[Figure]:
    if not model.spec.is_picture:
        return
    x = batch.x[: 2 * ROWS]
    codes = model.encode(x)
    yield Figure(
        "reconstructions",
        "Test data, and below each what the auto-encoder makes of its code: the best that samples can be.",
        Images(_interleaved(x, model.decode(codes))),
    )
    ends = codes[: len(codes) // 2], codes[len(codes) - len(codes) // 2 :]
    if len(ends[0]):
        h = between(*ends, COLUMNS)
        yield Figure(
            "code-interpolations",
            "Each row leads from one test datum to another on a straight line between their codes.",
            Images(model.decode(h.flatten(0, 1)).unflatten(0, h.shape[:2])),
        )


def between(a: Tensor, b: Tensor, n: int) -> Tensor:
    """(B, n, k): n points on the line from each row of a: (B, k) to that of b, both ends included."""
    share = torch.linspace(0, 1, n, device=a.device)[:, None]
    return a[:, None] * (1 - share) + b[:, None] * share


def _interleaved(x: Tensor, y: Tensor, columns: int = 8) -> Tensor:
    """(rows, columns, C, H, W): data in every other row, and under each its counterpart."""
    columns = min(columns, len(x))
    n = len(x) // columns * columns
    pairs = torch.stack([v[:n].unflatten(0, (-1, columns)) for v in (x, y)], dim=1)
    return pairs.flatten(0, 1)
