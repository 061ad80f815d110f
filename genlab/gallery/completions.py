"""Completions: what was observed, and draws of the rest, with the observed part tinted."""

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
)
from genlab.contracts.figures import UNKNOWN
from genlab.gallery.drawing import COLUMNS, REAL_RANGE, About, Drawn, draw, scale_of


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
    note = scale_of(spec)
    if note:
        given, draws = ((value + REAL_RANGE) / (2 * REAL_RANGE) for value in (given, draws))
    known = given if mask is None else torch.where(mask, given, torch.full_like(given, UNKNOWN))
    cells = torch.cat([known[None], draws]).transpose(0, 1)
    seen = None if mask is None else mask[:, None, 0].expand(*cells.shape[:2], *cells.shape[-2:])
    pixels, seen = _laid_out(cells, UNKNOWN), None if seen is None else _laid_out(seen, False)
    drawn = draw(Figure("completions", "", Images(pixels, seen)), about)
    words = f"First the evidence alone, then draws given it. {note}".strip()
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


def _laid_out(cells: Tensor, blank: float | bool) -> Tensor:
    """(B, 1 + n, …) as rows and columns; a single row is broken into lines of eight, the last filled up."""
    if len(cells) > 1 or cells.shape[1] <= COLUMNS:
        return cells
    row = cells[0]
    missing = row.new_full((-len(row) % COLUMNS, *row.shape[1:]), blank)
    return torch.cat([row, missing]).unflatten(0, (-1, COLUMNS))
