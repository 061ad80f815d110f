"""From one datum to another by way of the noise that the probability flow makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from genlab.contracts import Figure, Images
from genlab.models.diffusion.schedules import alpha
from genlab.nn.ode import Solver, between, decode, encode

if TYPE_CHECKING:
    from genlab.models.diffusion.model import Diffusion

PAIRS, COLUMNS = 5, 8
SOLVER = Solver("rk4", steps=12)  # 48 calls of the network each way


def figure(model: Diffusion, x: Tensor, generator: Generator) -> Figure:
    """x: (B, C, H, W), whose first rows are paired with its last."""
    pairs = min(PAIRS, len(x) // 2)
    rows = paths(model, x[:pairs], x[len(x) - pairs :], COLUMNS, generator)
    return Figure(
        "interpolation",
        "Each row leads from one test datum to another: the flow turns both into noise, and what lies "
        "between them on a great circle back into data. The ends are the reconstructions of the two data.",
        Images(rows.clamp(0, 1)),
    )


@torch.no_grad()
def paths(model: Diffusion, a: Tensor, b: Tensor, n: int, generator: Generator) -> Tensor:
    """(B, n, *shape) in the units of the data: from each row of a: (B, *shape) to that of b."""
    z, _ = model.embed(torch.cat([a, b]), generator=generator)
    first, last = encode(model, z, solver=SOLVER).chunk(2)
    found = decode(model, between(first, last, n).flatten(0, 1), solver=SOLVER)
    kept = alpha(torch.tensor(model.span[0], dtype=torch.float64)).item()
    return model.decoder.unembed(found / kept).unflatten(0, (-1, n))
