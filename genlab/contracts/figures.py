"""What is shown: a picture as numbers, drawn by the gallery, which knows no model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Images:
    """pixels: (rows, columns, C, H, W) in [0, 1]; C is 1 or 3. Animated, the columns follow in time."""

    pixels: Tensor


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
