"""What a diffusion makes of a datum of which little is known: its left half, its border, its blur."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import Evidence, Figure, Images, Noisy, Observed, Pooled
from genlab.contracts.figures import UNKNOWN
from genlab.models.diffusion.samplers import Ancestral
from genlab.randomness import randn_like

if TYPE_CHECKING:
    from genlab.models.diffusion.model import Diffusion

DRAWS, STEPS, PARTICLES = 6, 50, 4  # fewer than ``complete`` takes: a picture is to be had soon


def figure(model: Diffusion, x: Tensor, generator: Generator) -> Figure:
    """x: (B, C, H, W), whose rows are taken in turn."""
    chain = Ancestral(min(STEPS, model.chain.steps))
    rows, known, named = [], [], []
    for k, (words, evidence, shown) in enumerate(pieces(x, generator)):
        drawn = model.completed(evidence, DRAWS, chain, PARTICLES, generator=generator)[:, 0]
        rows.append(torch.stack([x[k % len(x)], shown[0], *drawn]))
        seen = evidence.mask if isinstance(evidence, Observed) else torch.zeros_like(shown).bool()
        known.append(seen[:, 0].repeat(2 + DRAWS, 1, 1))
        known[-1][0] = False
        named.append(words)
    return Figure(
        "completions",
        f"Each row: a test datum, what is known of it, and {DRAWS} draws of what it may be, in "
        f"{chain.steps} steps with {PARTICLES} particles for each. Known are, from above: "
        f"{', '.join(named)}.",
        Images(torch.stack(rows).clamp(0, 1), torch.stack(known)),
    )


def pieces(x: Tensor, generator: Generator) -> Iterator[tuple[str, Evidence, Tensor]]:
    """Words, evidence of one datum each, and what is shown of it: (1, C, H, W)."""
    height, width = x.shape[-2:]
    left, border = torch.zeros_like(x[:1]).bool(), torch.ones_like(x[:1]).bool()
    left[..., : width // 2] = True
    border[..., height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    for k, (words, mask) in enumerate({"the left half": left, "the border": border}.items()):
        seen = x[k % len(x)][None]
        yield words, Observed(seen, mask), torch.where(mask, seen, UNKNOWN)
    seen, sigma = x[2 % len(x)][None], 0.3
    e = randn_like(seen, generator)
    yield f"all of it with noise of {sigma:g}", Noisy(seen + sigma * e, sigma), seen + sigma * e
    factor = next(
        (f for f in (4, 2) if height % f == width % f == 0 and min(height, width) >= 4 * f), 0
    )
    if factor:
        y = F.avg_pool2d(x[3 % len(x)][None], factor)
        large = y.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
        yield f"the means of {factor} × {factor} pixels", Pooled(y, factor), large
