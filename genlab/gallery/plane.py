"""Points in the plane, with a vector field if there is one, on axes that do not move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genlab.gallery.heat import viridis

SIDE = 300  # screen pixels of the square plot
LEFT, BOTTOM, EDGE = 34, 24, 8  # margins for the tick labels, and on the other two sides
FINE = 3  # points and arrows are drawn this many times larger, then averaged
INK, FIELD, AXIS, GRID = (0, 90, 160), (200, 85, 0), (70, 74, 82), (226, 229, 234)
RADIUS = 1.6  # of a point, in screen pixels
OPACITY = 0.55  # of one point: where many lie, the ink is darker
SHADE = 17  # colours are rounded to multiples of this, so that a few hundred are left: a third of the bytes


@dataclass(frozen=True)
class Window:
    """The square of the plane that is shown: both axes at the same scale."""

    centre: tuple[float, float]
    half: float

    @property
    def low(self) -> np.ndarray:
        return np.asarray(self.centre) - self.half

    def inside(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool for points (n, 2)."""
        return np.all(np.abs(points - np.asarray(self.centre)) <= self.half, axis=1)

    def pixels(self, points: np.ndarray, side: int) -> np.ndarray:
        """(n, 2): column and row in a square picture of this side, up is up."""
        unit = (points - self.low) / (2 * self.half)
        return np.stack([unit[:, 0] * side, (1 - unit[:, 1]) * side], axis=1)


STANDARD = Window((0.0, 0.0), 3.0)  # for standardised data: the same for every data set


def window_of(points: np.ndarray) -> Window:
    """A square around the middle 99 % of points: (n, 2), with a quarter of their spread to spare."""
    finite = points[np.isfinite(points).all(axis=1)]
    if not len(finite):
        return STANDARD
    low, high = np.quantile(finite, [0.005, 0.995], axis=0)
    half = max(0.75 * float((high - low).max()), 1e-6)
    centre = (low + high) / 2
    return Window((float(centre[0]), float(centre[1])), half)


def panel(
    points: np.ndarray,
    window: Window,
    origins: np.ndarray | None = None,
    arrows: np.ndarray | None = None,
    side: int = SIDE,
) -> np.ndarray:
    """(Y, X, 3): points (n, 2) and arrows (m, 2) from origins (m, 2), in a frame with ticks."""
    plot = Image.new("RGB", (side * FINE, side * FINE), "white")
    pen = ImageDraw.Draw(plot)
    for tick in ticks(window):
        _grid_lines(pen, window, tick, side * FINE)
    if origins is not None and arrows is not None:
        _arrows(pen, window, origins, arrows, side * FINE)
    inked = _ink(np.asarray(plot), points, window)
    small = Image.fromarray(inked).resize((side, side), Image.Resampling.BOX)
    whole = np.asarray(_framed(small, window, side), np.uint16)
    return ((whole + SHADE // 2) // SHADE * SHADE).astype(np.uint8)


def surface_panel(values: np.ndarray, window: Window, side: int = SIDE) -> np.ndarray:
    """(Y, X, 3): values (rows, columns) ≥ 0 over the window, from the top down, from 0 to the highest."""
    unit = np.nan_to_num(values, nan=0.0) / (np.nanmax(values, initial=0.0) or 1.0)
    plot = Image.fromarray(viridis(unit)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(_framed(plot, window, side))


def ticks(window: Window) -> list[tuple[int, float]]:
    """(axis, value): round numbers, six or so on each axis."""
    rough = window.half / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    found = []
    for axis in (0, 1):
        low, high = window.low[axis], window.low[axis] + 2 * window.half
        first, last = math.ceil(low / step), math.floor(high / step)
        found += [(axis, round(k * step, 10)) for k in range(first, last + 1)]
    return found


def _ink(plot: np.ndarray, points: np.ndarray, window: Window) -> np.ndarray:
    """Blend the points into a picture (S, S, 3); where k discs overlap, 1 − (1 − opacity)^k of ink."""
    side = len(plot)
    kept = points[np.isfinite(points).all(axis=1)]
    kept = kept[window.inside(kept)]
    at = np.clip(window.pixels(kept, side).astype(int), 0, side - 1)
    radius = RADIUS * FINE
    reach = math.ceil(radius)
    count = np.zeros((side + 2 * reach, side + 2 * reach))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                np.add.at(count, (at[:, 1] + dy + reach, at[:, 0] + dx + reach), 1)
    count = count[reach : reach + side, reach : reach + side]
    alpha = (1 - (1 - OPACITY) ** count)[..., None]
    return np.rint(plot * (1 - alpha) + np.asarray(INK) * alpha).astype(np.uint8)


def _arrows(
    pen: ImageDraw.ImageDraw, window: Window, origins: np.ndarray, arrows: np.ndarray, side: int
) -> None:
    """Arrows at one scale: the longest is as long as a twelfth of the plot."""
    usable = np.isfinite(arrows).all(axis=1) & np.isfinite(origins).all(axis=1)
    origins, arrows = origins[usable], arrows[usable]
    longest = float(np.linalg.norm(arrows, axis=1).max(initial=0))
    if longest == 0:
        return
    start = window.pixels(origins, side)
    step = arrows * [1, -1] / longest * side / 12
    for (x, y), (dx, dy) in zip(start, step, strict=True):
        _arrow(pen, x, y, dx, dy)


def _arrow(pen: ImageDraw.ImageDraw, x: float, y: float, dx: float, dy: float) -> None:
    tip = (x + dx, y + dy)
    pen.line([(x, y), tip], fill=FIELD, width=FINE)
    for turn in (2.6, -2.6):
        bx = 0.35 * (dx * math.cos(turn) - dy * math.sin(turn))
        by = 0.35 * (dx * math.sin(turn) + dy * math.cos(turn))
        pen.line([tip, (tip[0] + bx, tip[1] + by)], fill=FIELD, width=FINE)


def _grid_lines(
    pen: ImageDraw.ImageDraw, window: Window, tick: tuple[int, float], side: int
) -> None:
    axis, value = tick
    at = _position(window, axis, value, side)
    line = [(at, 0), (at, side)] if axis == 0 else [(0, at), (side, at)]
    pen.line(line, fill=GRID, width=FINE)


def _position(window: Window, axis: int, value: float, side: int) -> float:
    point = np.asarray([window.centre], float)
    point[0, axis] = value
    return float(window.pixels(point, side)[0, axis])


def _framed(plot: Image.Image, window: Window, side: int) -> Image.Image:
    """The plot with a border and tick labels below and at the left."""
    whole = Image.new("RGB", (LEFT + side + EDGE, EDGE + side + BOTTOM), "white")
    whole.paste(plot, (LEFT, EDGE))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(11)
    pen.rectangle((LEFT - 1, EDGE - 1, LEFT + side, EDGE + side), outline=AXIS)
    for axis, value in ticks(window):
        at = _position(window, axis, value, side)
        label = f"{value:g}"
        if axis == 0:
            pen.text((LEFT + at, EDGE + side + 5), label, fill=AXIS, font=font, anchor="ma")
        else:
            pen.text((LEFT - 6, EDGE + at), label, fill=AXIS, font=font, anchor="rm")
    return whole
