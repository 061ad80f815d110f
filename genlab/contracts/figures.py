"""What is shown: a picture as numbers, drawn by the gallery, which knows no model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

UNKNOWN = 0.35  # grey of what is not known of a datum that is completed


@dataclass(frozen=True)
class Images:
    """pixels: (rows, columns, C, H, W) in [0, 1]; C is 1 or 3. Animated, the columns follow in time.

    known: (rows, columns, H, W) bool, what of a completion was observed, which is tinted.
    """

    pixels: Tensor
    known: Tensor | None = None

    @classmethod
    def completed(cls, x: Tensor, mask: Tensor, draws: Tensor) -> Images:
        """A row for each of x: (B, C, H, W): itself, what mask leaves of it, and draws (n, B, C, H, W)."""
        left = torch.where(mask, x, UNKNOWN)
        pixels = torch.cat([x[:, None], left[:, None], draws.transpose(0, 1)], dim=1)
        known = mask[:, None, 0].repeat(1, pixels.shape[1], 1, 1)
        known[:, 0] = False
        return cls(pixels, known)


@dataclass(frozen=True)
class Plane:
    """points: (frames, n, 2); an optional vector field: origins and arrows, each (frames, m, 2)."""

    points: Tensor
    origins: Tensor | None = None
    arrows: Tensor | None = None


@dataclass(frozen=True)
class Matrix:
    """values: (rows, columns), any range, drawn as a heat map with its scale; (n, rows, columns) on one."""

    values: Tensor


@dataclass(frozen=True)
class Surface:
    """A function over the square of the plane from −half to half: values (rows, columns), top row first.

    points: (n, 2), drawn beside it in the same square.
    """

    values: Tensor
    half: float
    points: Tensor


@dataclass(frozen=True)
class Figure:
    """What only this model can show. name: a file name; caption: one sentence for a stranger."""

    name: str
    caption: str
    content: Images | Plane | Matrix | Surface
    animated: bool = False
