"""Completions: what was observed, and draws of the rest, with the observed part in its own colour."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import DataSpec, Figure, Images, Matrix, Support
from genlab.gallery.drawing import COLUMNS, REAL_RANGE, About, Drawn, draw

OBSERVED = torch.tensor([0.15, 0.55, 1.0])  # blue, mixed into every pixel that was observed
SHARE = 0.4
UNKNOWN = 0.35  # grey of a pixel that was not observed, in the picture of the evidence


def completion_grid(
    draws: Tensor, x: Tensor, mask: Tensor, spec: DataSpec, about: About | None = None
) -> Drawn:
    """draws: (n, B, *shape) given x where mask, both (B, *shape).

    One piece of evidence: it comes first, then its draws, row by row. Several: a row for each. Tables
    are shown as a matrix with a row for each draw.
    """
    if not spec.is_image:
        return draw(Figure("completions", "", Matrix(draws.flatten(0, 1).flatten(1))), about)
    if spec.support is Support.REAL:
        x, draws = ((value + REAL_RANGE) / (2 * REAL_RANGE) for value in (x, draws))
    evidence = torch.where(mask, x, torch.full_like(x, UNKNOWN))
    cells = torch.cat([evidence[None], draws])
    tinted = _tinted(cells, mask.expand_as(cells)).transpose(0, 1)
    drawn = draw(Figure("completions", "", Images(_laid_out(tinted))), about)
    words = "Blue: observed. First the evidence alone, then draws of the rest."
    return Drawn(drawn.pictures, f"{words} {drawn.note}".strip())


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
