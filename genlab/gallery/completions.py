"""Completions: what was observed, and draws of the rest, with the observed part in its own colour."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import (
    DataSpec,
    Evidence,
    Figure,
    Images,
    Matrix,
    Noisy,
    Observed,
    Pooled,
    Support,
)
from genlab.gallery.drawing import COLUMNS, REAL_RANGE, About, Drawn, draw

OBSERVED = torch.tensor([0.15, 0.55, 1.0])  # blue, mixed into every pixel that was observed
SHARE = 0.4
UNKNOWN = 0.35  # grey of a pixel that was not observed, in the picture of the evidence


def completion_grid(
    draws: Tensor, evidence: Evidence, spec: DataSpec, about: About | None = None
) -> Drawn:
    """draws: (n, B, *shape) of B pieces of evidence.

    One piece of evidence: it comes first, then its draws, row by row. Several: a row for each. Tables
    are shown as a matrix with a row for each draw.
    """
    if not spec.is_image:
        return draw(Figure("completions", "", Matrix(draws.flatten(0, 1).flatten(1))), about)
    given, mask = _picture(evidence)
    if spec.support is Support.REAL:
        given, draws = ((value + REAL_RANGE) / (2 * REAL_RANGE) for value in (given, draws))
    known = given if mask is None else torch.where(mask, given, torch.full_like(given, UNKNOWN))
    cells = torch.cat([known[None], draws]).clamp(0, 1)
    if mask is not None:
        cells = _tinted(cells, mask.expand_as(cells))
    drawn = draw(Figure("completions", "", Images(_laid_out(cells.transpose(0, 1)))), about)
    words = "First the evidence alone, then draws given it."
    words = f"Blue: observed. {words}" if mask is not None else words
    return Drawn(drawn.pictures, f"{words} {drawn.note}".strip())


def _picture(evidence: Evidence) -> tuple[Tensor, Tensor | None]:
    """(B, *shape) what is shown of evidence, and where it is known, if not everywhere."""
    if isinstance(evidence, Observed):
        return evidence.x, evidence.mask
    if isinstance(evidence, Noisy):
        return evidence.y, None
    assert isinstance(evidence, Pooled)
    large = evidence.y.repeat_interleave(evidence.factor, -1)
    return large.repeat_interleave(evidence.factor, -2), None


def _tinted(cells: Tensor, mask: Tensor) -> Tensor:
    """(…, 1 or 3, H, W) → (…, 3, H, W) with OBSERVED mixed in where mask."""
    shape = (*cells.shape[:-3], 3, *cells.shape[-2:])
    colour = OBSERVED[:, None, None]
    cells, mask = cells.cpu().expand(shape), mask.cpu().expand(shape)
    return torch.where(mask, (1 - SHARE) * cells + SHARE * colour, cells)


def _laid_out(cells: Tensor) -> Tensor:
    """(B, 1 + n, 3, H, W) as rows and columns; a single row is broken into lines of eight."""
    if len(cells) > 1 or cells.shape[1] <= COLUMNS:
        return cells
    row = cells[0]
    missing = -len(row) % COLUMNS
    blank = torch.full((missing, *row.shape[1:]), UNKNOWN)
    return torch.cat([row, blank]).unflatten(0, (-1, COLUMNS))
