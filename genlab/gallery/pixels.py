"""Images as pixels: values in [0, 1] on a fixed scale, magnified by whole numbers.

Nothing is rescaled to fit. A value outside [0, 1] is painted in a colour of its own and counted.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

COMFORTABLE = 48  # screen pixels: images smaller than this are magnified to at least this
GAP = 3
GAP_COLOUR = (128, 134, 144)
ABOVE, BELOW, MISSING = (232, 0, 40), (0, 96, 255), (255, 0, 255)
OBSERVED, SHARE = (38, 140, 255), 0.4  # mixed into every pixel that was observed
TOLERANCE = 1e-3  # an eighth of a grey level each way: rounding, not a value out of range


@dataclass(frozen=True)
class Painted:
    """colours: (…, H, W, 3) uint8. outside: how many values were not in [0, 1], of how many."""

    colours: np.ndarray
    outside: int
    total: int

    @property
    def note(self) -> str:
        """What a viewer must know of marked values; empty where there are none."""
        if not self.outside:
            return ""
        share = 100 * self.outside / self.total
        return (
            f"{self.outside} of {self.total} values ({share:.2g} %) lie outside [0, 1] and are marked: "
            "red above 1, blue below 0, magenta not a number."
        )


@dataclass(frozen=True)
class Grid:
    """n cells of one size in a picture, row by row, in screen pixels."""

    n: int
    columns: int
    width: int
    height: int
    gap: int = 0

    @property
    def words(self) -> dict[str, int]:
        """As JSON: for the files of a run, and the scripts of its page."""
        return asdict(self)


def magnification(height: int, width: int) -> int:
    """How often each pixel is repeated: 6 for 8×8 images, 2 for 28×28, 1 from 48×48 on."""
    return max(1, math.ceil(COMFORTABLE / max(height, width)))


def paint(values: np.ndarray) -> Painted:
    """values: (…, C, H, W) in [0, 1], C = 1 (grey) or 3 (red, green, blue).

    Raises ValueError for any other number of channels.
    """
    if values.ndim < 3 or values.shape[-3] not in (1, 3):
        raise ValueError(f"images are (…, C, H, W) with C = 1 or 3, not {values.shape}")
    missing = ~np.isfinite(values)
    above, below = values > 1 + TOLERANCE, values < -TOLERANCE
    grey = np.rint(255 * np.clip(np.where(missing, 0, values), 0, 1)).astype(np.uint8)
    colours = np.moveaxis(np.broadcast_to(grey, _three(values.shape)), -3, -1).copy()
    for where, colour in ((below, BELOW), (above, ABOVE), (missing, MISSING)):
        colours[where.any(axis=-3)] = colour
    return Painted(colours, int((missing | above | below).sum()), values.size)


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-3], 3, *shape[-2:])


def tinted(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """colours: (…, H, W, 3) with the colour of what was observed mixed in where known: (…, H, W)."""
    mixed = np.rint((1 - SHARE) * colours + SHARE * np.asarray(OBSERVED)).astype(np.uint8)
    return np.where(known[..., None], mixed, colours)


def magnify(colours: np.ndarray, factor: int) -> np.ndarray:
    """(…, H, W, 3) → (…, factor·H, factor·W, 3), nearest neighbour."""
    return colours.repeat(factor, axis=-3).repeat(factor, axis=-2)


def columns_for(n: int) -> int:
    """Columns of a grid of n cells: full rows if a shape near a square has them.

    >>> [columns_for(n) for n in (1, 8, 64, 13)]
    [1, 4, 8, 4]
    """
    least = math.ceil(math.sqrt(n))
    full = (c for c in range(least, min(n, 2 * least) + 1) if n % c == 0)
    return next((c for c in full if c <= 1.5 * least), least)


def tile(cells: np.ndarray, columns: int, gap: int = GAP) -> np.ndarray:
    """n cells (n, H, W, 3), row by row with thin gaps, as one picture (Y, X, 3)."""
    n, height, width, _ = cells.shape
    rows = math.ceil(n / columns)
    shape = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    picture = np.empty(shape, np.uint8)
    picture[:] = GAP_COLOUR
    for i, cell in enumerate(cells):
        y, x = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        picture[y : y + height, x : x + width] = cell
    return picture


def beside(panels: list[np.ndarray], gap: int = 8) -> np.ndarray:
    """Pictures (Y, X, 3) of one height, from left to right on white."""
    spacer = np.full((panels[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (spacer, panel)][1:]
    return np.concatenate(parts, axis=1)
