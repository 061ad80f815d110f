"""What follows from the upper half of an image: each pixel's exact probability below, and draws of all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.contracts import Figure, Images, Observed

DRAWS = 6
PIXELS = 1024  # data evaluated at once


def completions(
    x: Tensor,
    complete: Callable[[Observed, int], Tensor],
    log_marginal: Callable[[Observed], Tensor] | None,
) -> Figure:
    """Of images x: (B, C, H, W). complete gives (n, B, C, H, W); log_marginal: (B,) of bits, else None."""
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[..., : x.shape[2] // 2, :] = True
    known = Observed(x, mask)
    words, right = "their upper half alone", complete(known, DRAWS)
    if log_marginal is not None:
        right = torch.cat([expected(known, log_marginal)[None], right])
        words += ", the exact probability of each pixel of the lower half given the upper"
    caption = f"Test data (left), {words}, and six draws of the lower half given the upper."
    return Figure("completions", caption, Images.completed(x, mask, right))


def expected(evidence: Observed, log_marginal: Callable[[Observed], Tensor]) -> Tensor:
    """(B, *shape): P(entry = 1 | what is observed) of bits, each entry by a marginal of its own."""
    x, mask = evidence.x.flatten(1), evidence.mask.flatten(1)
    row, entry = (~mask).nonzero(as_tuple=True)
    nats = []
    for r, d in zip(row.split(PIXELS), entry.split(PIXELS), strict=True):
        own, place = torch.arange(len(r), device=x.device), (len(r), *evidence.x.shape[1:])
        one, seen = x[r], mask[r]
        one[own, d], seen[own, d] = 1.0, True
        nats.append(log_marginal(Observed(one.view(place), seen.view(place))))
    p = x.clone()
    p[row, entry] = (torch.cat(nats) - log_marginal(evidence)[row]).exp().clamp(max=1.0).to(x.dtype)
    return p.view_as(evidence.x)
