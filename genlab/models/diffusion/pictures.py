"""What only a diffusion can show: a datum appearing out of noise, and what is guessed at each level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, Figure, Images, Plane
from genlab.models.diffusion.schedules import alpha, sigma

if TYPE_CHECKING:
    from genlab.models.diffusion.model import Diffusion

TIMES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def figures(model: Diffusion, batch: Batch, generator: Generator) -> Iterator[Figure]:
    if model.spec.is_picture:
        yield image_chain(model, generator)
        yield one_step(model, batch.x[:8], generator)
    elif model.spec.shape == (2,):
        yield plane_chain(model, generator)


def image_chain(model: Diffusion, generator: Generator, rows: int = 8, columns: int = 12) -> Figure:
    states = walk(model, rows, columns, generator)
    return Figure(
        "denoising-chain",
        f"Each row is a sample appearing out of noise, in {model.chain.steps} steps from left to right.",
        Images(states.clamp(0, 1).transpose(0, 1)),
        animated=True,
    )


def plane_chain(model: Diffusion, generator: Generator, n: int = 1000, frames: int = 25) -> Figure:
    return Figure(
        "denoising-chain",
        f"{n} points on their way from Gaussian noise to the data, in {model.chain.steps} steps.",
        Plane(walk(model, n, frames, generator)),
        animated=True,
    )


def walk(model: Diffusion, n: int, frames: int, generator: Generator) -> Tensor:
    """(frames, n, *shape): the states of the model's own chain at evenly spaced steps, first and last
    included."""
    last = model.chain.steps + 1
    shown = {round(k * last / (frames - 1)) for k in range(frames)}
    states = enumerate(model.denoise(n, generator=generator))
    return torch.stack([state for step, state in states if step in shown])


@torch.no_grad()
def one_step(model: Diffusion, x: Tensor, generator: Generator) -> Figure:
    """Two rows per datum: z_t at several t, and under it the prediction x̂(z_t)."""
    signal = model.decoder.embed(x)
    columns = []
    for log_snr in model.schedule(torch.tensor(TIMES, dtype=torch.float64, device=x.device)):
        epsilon = torch.randn(x.shape, generator=generator, device=x.device)
        z = alpha(log_snr) * signal + sigma(log_snr) * epsilon
        columns.append(torch.stack([z, model.denoiser(z, log_snr).mean], dim=1).flatten(0, 1))
    pixels = model.decoder.unembed(torch.stack(columns, dim=1)).clamp(0, 1)
    return Figure(
        "one-step-predictions",
        "Data with more and more noise, and below each what the model, in a single step, takes it for.",
        Images(pixels),
    )
