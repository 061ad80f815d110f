"""Samples of a model, in blocks, so that they do not depend on how many are asked for or by whom.

A block is 64 draws with a generator of its own, keyed by (seed, block); the last one is drawn whole and
then cut. Processes may share out the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genlab.blocks import BLOCK
from genlab.contracts import GenerativeModel, Model, TakesSampler, UsageError
from genlab.progress import progress
from genlab.randomness import generator
from genlab.together import one_after_another, shared_out


@torch.no_grad()
def draw(
    model: GenerativeModel,
    n: int,
    *,
    seed: int,
    label: int | None = None,
    sampler: Any = None,
    guidance: float = 1.0,
    together: bool = False,
) -> Tensor:
    """(n, *shape) draws on the model's device. The first m of n are the same for every n.

    sampler: None is the model's own. together: by all processes, each of which must call this.
    Raises UsageError where the model takes no other sampler, or no guidance.
    """
    own = sampler is None and guidance == 1
    if not own:
        require_ways(model, "sampler=…" if sampler is not None else "--guidance")
    labels = None if label is None else torch.full((BLOCK,), label, device=model.device)

    def block(number: int) -> Tensor:
        noise = generator("sample", seed, number, device=model.device)
        if own:
            return model.sample(BLOCK, label=labels, generator=noise)
        assert isinstance(model, TakesSampler)
        return model.sample_by(sampler, BLOCK, label=labels, guidance=guidance, generator=noise)

    with progress("sample", n) as advance:

        def noted(number: int) -> Tensor:
            x = block(number).cpu()
            advance(min(n, (number + 1) * BLOCK), "drawn")
            return x

        share = shared_out if together else one_after_another
        drawn = share(-(-n // BLOCK), noted)
    return torch.cat(drawn)[:n].to(model.device)


def require_ways(model: Model, what: str) -> None:
    """Raise UsageError unless the model can be told how to draw. what: the words that tell it."""
    if not isinstance(model, TakesSampler):
        raise UsageError(f"{type(model).__name__} draws in one way only: leave {what} out")


@contextmanager
def on_device(model: Model, device: str) -> Iterator[None]:
    """The model there for a while."""
    before = model.device
    model.to(device)
    try:
        yield
    finally:
        model.to(before)
