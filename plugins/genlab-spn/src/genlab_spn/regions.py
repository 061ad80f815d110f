"""A random region graph: R times, the entries are shuffled and cut in halves, these again, Δ times.

The regions of one repetition at level l are 2^l runs of its shuffled entries, as equal as can be, and
region h is the disjoint union of the regions 2h and 2h + 1 of the level below. Cutting a random order is
the same as splitting at random each time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.randomness import generator


def random_regions(size: int, depth: int, repetitions: int, seed: int) -> Tensor:
    """(R · 2^Δ, S) int64: the entries of each region of the lowest level, filled up with ``size``."""
    return torch.cat([_parts(size, depth, seed, r) for r in range(repetitions)])


def _parts(size: int, depth: int, seed: int, repetition: int) -> Tensor:
    """(2^Δ, S) of one repetition."""
    parts = 2**depth
    order = torch.randperm(size, generator=generator("regions", seed, repetition))
    part = torch.arange(size) * parts // size
    first = torch.searchsorted(part, torch.arange(parts))
    members = torch.full((parts, -(-size // parts)), size)
    members[part, torch.arange(size) - first[part]] = order
    return members
