"""Which times are visited: spread out, so that few of them say much of the mean over all.

Both ways have times that are uniform in [0, 1), each by itself, so an estimate has no bias; together they
leave no gaps, so it has less noise than independent times would (low-discrepancy sampling: Kingma,
Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630, appendix I.1).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor


def even(n: int, device: torch.device) -> Tensor:
    """(n,) float64: one time for each datum of a batch, at distances of 1/n, moved by one random number
    of torch's default generator.
    """
    u = torch.rand((), device=device, dtype=torch.float64)
    return (u + torch.arange(n, device=device) / n) % 1


def strata(
    n: int, visits: int, generator: Generator | None, device: torch.device
) -> Iterator[Tensor]:
    """(n,) float64, ``visits`` times over: for each of n data a time in each of as many equal parts."""
    for stratum in range(visits):
        u = torch.rand(n, generator=generator, device=device, dtype=torch.float64)
        yield (stratum + u) / visits


def step_of(t: Tensor, steps: int) -> Tensor:
    """(n,) from 0 to steps - 1: which of so many equal steps a time lies in."""
    return (t * steps).floor().clamp(max=steps - 1)
