"""What only DRAW can show: a canvas being painted, and where it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, Figure, Images
from genlab.models.draw.attention import Window
from genlab.randomness import randn_like

if TYPE_CHECKING:
    from genlab.models.draw.model import DRAW, Glimpse

SHOWN = 8  # data or samples
LEAST_SIDE = 112  # pixels of a picture with a frame in it, which lies between pixels
READING, PAINTING = (0.95, 0.25, 0.2), (0.15, 0.75, 0.35)  # colours of frames


@torch.no_grad()
def figures(model: DRAW, batch: Batch, generator: Generator) -> Iterator[Figure]:
    if not model.spec.is_picture:
        return

    noise = partial(randn_like, generator=generator)
    x = batch.x[:SHOWN]
    yield _canvases(model, list(model.imagine(SHOWN, lambda p: p.at(noise(p.mean)))))
    seen = list(model.look(x, noise))
    yield _reconstructions(model, x, seen)
    if seen[0].read is not None:
        yield _looking(model, x[: SHOWN // 2], [_first(glimpse, SHOWN // 2) for glimpse in seen])


def _canvases(model: DRAW, glimpses: Sequence[Glimpse]) -> Figure:
    """(rows, T, …) samples over their glimpses."""
    columns = [_painted(model, glimpse) for glimpse in glimpses]
    frame = " The frame is where it has just painted." if glimpses[0].write is not None else ""
    return Figure(
        "canvases",
        f"Each row is a sample, painted in {len(glimpses)} glimpses from left to right.{frame} "
        "Shown are the means of pixels, around which those of a sample are drawn.",
        Images(torch.stack(columns, dim=1)),
        animated=True,
    )


def _reconstructions(model: DRAW, x: Tensor, glimpses: Sequence[Glimpse]) -> Figure:
    return Figure(
        "reconstructions",
        "Test data (above), and what is on the canvas after the last glimpse of them (below).",
        Images(torch.stack([x, model.shown(glimpses[-1].canvas)])),
    )


def _looking(model: DRAW, x: Tensor, glimpses: Sequence[Glimpse]) -> Figure:
    """Two rows for each datum."""
    columns = []
    for glimpse in glimpses:
        assert glimpse.read is not None
        pair = [framed(x, glimpse.read, READING), enlarged(_painted(model, glimpse))]
        columns.append(torch.stack(pair, dim=1).flatten(0, 1))
    return Figure(
        "glimpses",
        "Two rows for each datum: above, where it looks, below, the canvas with where it has just painted. "
        "The wider the filters, the thicker the frame.",
        Images(torch.stack(columns, dim=1)),
        animated=True,
    )


def _painted(model: DRAW, glimpse: Glimpse) -> Tensor:
    """(B, C, A, W), larger and with a frame where there is a window."""
    shown = model.shown(glimpse.canvas)
    return shown if glimpse.write is None else framed(shown, glimpse.write, PAINTING)


def enlarged(pixels: Tensor) -> Tensor:
    """(B, 3, A', W') of pixels: (B, C, A, W), each becoming a square of several."""
    times = max(1, -(-LEAST_SIDE // max(pixels.shape[-2:])))
    large = pixels.repeat_interleave(times, -1).repeat_interleave(times, -2)
    return large.expand(-1, 3, -1, -1) if large.shape[1] == 1 else large


def framed(pixels: Tensor, window: Window, colour: tuple[float, float, float]) -> Tensor:
    """(B, 3, A', W') of pixels: (B, C, A, W): enlarged, with a frame around the centres of the filters."""
    large = enlarged(pixels)
    times = large.shape[-1] / pixels.shape[-1]
    n = window.rows.shape[1]
    half = times * torch.maximum((n - 1) / 2 * window.stride, window.sigma / 2)
    thick = (times * window.sigma / 4).clamp(1.5, 2 * times)
    centre = times * (window.centre - 0.5)  # pixel 1 reaches from 0 to 1
    distance = [
        (torch.arange(side, device=large.device) + 0.5 - centre[:, axis : axis + 1]).abs()
        for axis, side in enumerate(large.shape[-2:])
    ]
    far = torch.maximum(distance[0].unsqueeze(2), distance[1].unsqueeze(1))
    frame = ((far - half.view(-1, 1, 1)).abs() <= thick.view(-1, 1, 1) / 2).unsqueeze(1)
    return torch.where(frame, large.new_tensor(colour).view(3, 1, 1), large)


def _first(glimpse: Glimpse, n: int) -> Glimpse:
    """Of the first n data."""

    def cut(window: Window | None) -> Window | None:
        return None if window is None else Window(*(part[:n] for part in window))

    return glimpse._replace(
        canvas=glimpse.canvas[:n], read=cut(glimpse.read), write=cut(glimpse.write)
    )
