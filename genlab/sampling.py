"""Samples of a model, in blocks, so that they do not depend on how many are asked for or by whom.

A block is 64 draws with a generator of its own, keyed by (seed, block); the last one is drawn whole and
then cut.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genlab.blocks import BLOCK
from genlab.contracts import GenerativeModel, TakesSampler, UsageError
from genlab.progress import progress
from genlab.randomness import generator


@torch.no_grad()
def draw(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    label: int | None = None,
    sampler: Any = None,
    guidance: float = 1.0,
) -> Tensor:
    """(n, *shape) draws on the model's device. The first m of n are the same for every n.

    sampler: None is the model's own. Raises UsageError where the model takes no other, or no guidance.
    """
    own = sampler is None and guidance == 1
    if not own and not isinstance(model, TakesSampler):
        what = "sampler=…" if sampler is not None else "--guidance"
        raise UsageError(f"{type(model).__name__} draws in one way only: leave {what} out")
    labels = None if label is None else torch.full((BLOCK,), label, device=model.device)
    drawn = []
    with progress("sample", n) as advance:
        for block in range(-(-n // BLOCK)):
            noise = generator("sample", seed, block, device=model.device)
            if own:
                x = model.sample(BLOCK, label=labels, generator=noise)
            else:
                assert isinstance(model, TakesSampler)
                x = model.sample_by(
                    sampler, BLOCK, label=labels, guidance=guidance, generator=noise
                )
            drawn.append(x)
            advance(min(n, (block + 1) * BLOCK), "drawn")
    return torch.cat(drawn)[:n]
