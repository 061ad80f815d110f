"""What only a diffusion can show: a datum appearing out of noise, and what is guessed at each level."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, Figure, Images, Plane
from genlab.models.diffusion import completions, interpolation, reverse
from genlab.models.diffusion.schedules import alpha, sigma
from genlab.randomness import randn_like

if TYPE_CHECKING:
    from genlab.models.diffusion.model import Diffusion

FRAMES = 25  # of points in the plane
ARROWS, REACH = 15, 2.4  # arrows in a row, and how far they go out
TIMES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@torch.no_grad()
def figures(model: Diffusion, batch: Batch, generator: Generator) -> Iterator[Figure]:
    if model.spec.is_picture:
        yield image_chain(model, generator)
        yield one_step(model, batch.x[:8], generator)
        if len(batch.x) > 1:
            yield interpolation.figure(model, batch.x, generator)
        yield completions.figure(model, batch.x, generator)
    elif model.spec.shape == (2,):
        yield plane_chain(model, generator)
        yield forgetting(model, batch.x, generator)


def image_chain(model: Diffusion, generator: Generator, rows: int = 8, columns: int = 12) -> Figure:
    states = walk(model, rows, columns, generator)
    return Figure(
        "denoising-chain",
        f"Each row is a sample appearing out of noise, in {model.chain.steps} steps from left to right.",
        Images(states.clamp(0, 1).transpose(0, 1)),
        animated=True,
    )


def forgetting(model: Diffusion, x: Tensor, generator: Generator) -> Figure:
    """The same data with more and more noise, and where a step takes points of the plane on average."""
    times = torch.linspace(0, 1, FRAMES, dtype=torch.float64, device=x.device)
    log_snrs = model.schedule(times)
    z = alpha(log_snrs[0]) * model.decoder.embed(x).double()
    states, grid = [z], _grid(x)
    arrows = []
    for s, t in pairwise(log_snrs):
        kept = alpha(t) / alpha(s)
        lost = (sigma(t).square() - (kept * sigma(s)).square()).clamp(min=0).sqrt()
        z = kept * z + lost * randn_like(z, generator)
        states.append(z)
        arrows.append((kept - 1) * grid)
    arrows.append(arrows[-1])
    return Figure(
        "forgetting",
        f"{len(x)} test data becoming Gaussian noise. Arrows: where a step takes points on average.",
        Plane(
            torch.stack(states).float(), grid.expand(FRAMES, -1, -1), torch.stack(arrows).float()
        ),
        animated=True,
    )


def plane_chain(model: Diffusion, generator: Generator, n: int = 1000) -> Figure:
    last = model.chain.steps + 1
    grid = _grid(model.decoder.embed(torch.zeros(1, 2, device=model.device)))
    fields = [_drift(model, grid, min(step, last - 1)) for step in _shown(last, FRAMES)]
    return Figure(
        "denoising-chain",
        f"{n} points on their way from Gaussian noise to the data, in {model.chain.steps} steps. Arrows: "
        "where the model takes points of the plane on average.",
        Plane(
            walk(model, n, FRAMES, generator),
            grid.expand(len(fields), -1, -1),
            torch.stack(fields),
        ),
        animated=True,
    )


def _drift(model: Diffusion, grid: Tensor, step: int) -> Tensor:
    """(m, 2) the mean of a step back from points of the plane, less the points; the last one's at z_0."""
    total = model.chain.steps
    i = torch.tensor(max(1, total - step), dtype=torch.float64, device=grid.device)
    s, t = model.schedule((i - 1) / total), model.schedule(i / total)
    mean, _ = reverse.step(grid, model.denoiser(grid, t), s, t)
    return mean - grid


def _grid(like: Tensor) -> Tensor:
    """(m, 2) points of the plane, over what standardised data take up of it."""
    line = torch.linspace(-REACH, REACH, ARROWS, device=like.device, dtype=like.dtype)
    return torch.cartesian_prod(line, line)


def walk(model: Diffusion, n: int, frames: int, generator: Generator) -> Tensor:
    """(frames, n, *shape): the states of the model's own chain at evenly spaced steps, first and last
    included."""
    shown = set(_shown(model.chain.steps + 1, frames))
    states = enumerate(model.denoise(n, generator=generator))
    return torch.stack([state for step, state in states if step in shown])


def _shown(last: int, frames: int) -> list[int]:
    """At most ``frames`` states from 0 to the last, evenly spaced."""
    return sorted({round(k * last / (frames - 1)) for k in range(frames)})


@torch.no_grad()
def one_step(model: Diffusion, x: Tensor, generator: Generator) -> Figure:
    """Two rows per datum: z_t at several t, and under it the prediction x̂(z_t)."""
    signal = model.decoder.embed(x)
    columns = []
    for log_snr in model.schedule(torch.tensor(TIMES, dtype=torch.float64, device=x.device)):
        epsilon = randn_like(x, generator)
        z = alpha(log_snr) * signal + sigma(log_snr) * epsilon
        columns.append(torch.stack([z, model.denoiser(z, log_snr).mean], dim=1).flatten(0, 1))
    pixels = model.decoder.unembed(torch.stack(columns, dim=1)).clamp(0, 1)
    return Figure(
        "one-step-predictions",
        "Data with more and more noise, and below each what the model, in a single step, takes it for.",
        Images(pixels),
    )
