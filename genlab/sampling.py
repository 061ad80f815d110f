"""Samples of a model, in blocks, so that they do not depend on how many are asked for or by whom.

A block is 64 draws with a generator of its own, keyed by (seed, block); the last one is drawn whole and
then cut.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.blocks import BLOCK
from genlab.contracts import GenerativeModel
from genlab.progress import progress
from genlab.randomness import generator


@torch.no_grad()
def draw(model: GenerativeModel, n: int, *, seed: int, label: int | None = None) -> Tensor:
    """(n, *shape) draws on the model's device. The first m of n are the same for every n."""
    labels = None if label is None else torch.full((BLOCK,), label, device=model.device)
    drawn = []
    with progress("sample", n) as advance:
        for block in range(-(-n // BLOCK)):
            noise = generator("sample", seed, block, device=model.device)
            drawn.append(model.sample(BLOCK, label=labels, generator=noise))
            advance(min(n, (block + 1) * BLOCK), "drawn")
    return torch.cat(drawn)[:n]
