"""Evidence to complete: pieces of several kinds, about data that the model itself would draw."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import Evidence, Noisy, Observed, Pooled, Support
from genlab.testing.subject import Subject

SIGMA = 0.5


def evidence_for(s: Subject) -> list[Evidence]:
    """One batch of each kind that the model completes and the space has."""
    x = _on_the_grid(s, s.samples[:5])
    pieces: list[Evidence] = []
    if Observed in s.model.completes:
        pieces.append(Observed(x, _masks(x)))
    if Noisy in s.model.completes:
        pieces.append(
            Noisy(x + SIGMA * torch.randn(x.shape, generator=s.generator("noise")), SIGMA)
        )
    if Pooled in s.model.completes and x.ndim == 4 and x.shape[-1] % 2 == x.shape[-2] % 2 == 0:
        pieces.append(Pooled(torch.nn.functional.avg_pool2d(x, 2), 2))
    return pieces


def _masks(x: Tensor) -> Tensor:
    """A mask for each of five data: the first entry, all but it, every second, none, all."""
    mask = torch.zeros(5, x[0].numel(), dtype=torch.bool)
    mask[0, 0] = mask[1, 1:] = mask[2, ::2] = mask[4] = True
    return mask.view_as(x)


def _on_the_grid(s: Subject, x: Tensor) -> Tensor:
    """REAL data moved to the nearest state of an enumerated space, where probabilities are known."""
    if s.space.spec.support is not Support.REAL or not s.space.enumerable:
        return x
    nearest = torch.cdist(x.flatten(1), s.space.states.flatten(1)).argmin(1)
    return s.space.states[nearest]
