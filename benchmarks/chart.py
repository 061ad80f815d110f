"""A chart of a few lines with error bars, both axes logarithmic, as a PNG."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genlab.gallery.encode import png
from genlab.gallery.plane import AXIS, GRID

WIDTH, HEIGHT, FINE = 640, 400, 3  # screen pixels; drawn FINE times larger, then averaged
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 20, 52
COLOURS = ((0, 114, 178), (200, 85, 0), (0, 121, 90), (154, 61, 122), (122, 101, 0))
LADDER = (1, 2, 5)


class Line(NamedTuple):
    """points: (x, y, error of y), all positive."""

    name: str
    points: tuple[tuple[float, float, float], ...]


class Scale(NamedTuple):
    """A logarithmic axis from low to high, drawn from pixel first to pixel last."""

    low: float
    high: float
    first: float
    last: float

    @classmethod
    def around(cls, values: list[float], first: float, last: float) -> Scale:
        room = (max(values) / min(values)) ** 0.06
        return cls(min(values) / room, max(values) * room, first, last)

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [step * 10.0**power for power in powers for step in LADDER]
        return [value for value in values if self.low <= value <= self.high]


def draw(lines: list[Line], x_label: str, y_label: str, floor: float) -> bytes:
    """floor: a value of y that is drawn as a dashed line."""
    points = [point for line in lines for point in line.points]
    x = Scale.around([p[0] for p in points], FINE * LEFT, FINE * (WIDTH - RIGHT))
    y = Scale.around([floor, *(p[1] for p in points)], FINE * (HEIGHT - BOTTOM), FINE * TOP)
    picture = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    _frame(pen, x, y, x_label, y_label)
    _dashes(pen, x, y.at(floor))
    for line, colour in zip(lines, COLOURS, strict=False):
        _line(pen, line, x, y, colour)
    _legend(pen, [line.name for line in lines])
    small = picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return png(np.asarray(small))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FINE * size)


def _frame(pen: ImageDraw.ImageDraw, x: Scale, y: Scale, x_label: str, y_label: str) -> None:
    for value in x.ticks():
        at = x.at(value)
        pen.line([at, y.last, at, y.first], fill=GRID, width=FINE)
        pen.text((at, y.first + 6 * FINE), f"{value:g}", AXIS, _font(11), "ma")
    for value in y.ticks():
        at = y.at(value)
        pen.line([x.first, at, x.last, at], fill=GRID, width=FINE)
        pen.text((x.first - 6 * FINE, at), f"{value:g}", AXIS, _font(11), "rm")
    pen.line([x.first, y.last, x.first, y.first, x.last, y.first], fill=AXIS, width=FINE)
    pen.text(((x.first + x.last) / 2, FINE * (HEIGHT - 8)), x_label, AXIS, _font(12), "md")
    pen.text((FINE * 8, FINE * 4), y_label, AXIS, _font(12), "la")


def _dashes(pen: ImageDraw.ImageDraw, x: Scale, at: float) -> None:
    dash = 6 * FINE
    for start in np.arange(x.first, x.last, 2 * dash):
        pen.line([start, at, min(start + dash, x.last), at], fill=AXIS, width=FINE)
    pen.text((x.last, at - 3 * FINE), "test data", AXIS, _font(11), "rd")


def _line(
    pen: ImageDraw.ImageDraw, line: Line, x: Scale, y: Scale, colour: tuple[int, int, int]
) -> None:
    places = [(x.at(a), y.at(b)) for a, b, _ in line.points]
    pen.line(places, fill=colour, width=2 * FINE, joint="curve")
    for (across, up), (_, value, error) in zip(places, line.points, strict=True):
        reach = 3.5 * FINE
        pen.ellipse([across - reach, up - reach, across + reach, up + reach], fill=colour)
        if 0 < error < value:
            ends = [across, y.at(value - error), across, y.at(value + error)]
            pen.line(ends, fill=colour, width=FINE)


def _legend(pen: ImageDraw.ImageDraw, names: list[str]) -> None:
    for row, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        across, down = FINE * (LEFT + 20), FINE * (HEIGHT // 2 + 18 * row)
        pen.line([across, down, across + 22 * FINE, down], fill=colour, width=2 * FINE)
        pen.text((across + 30 * FINE, down), name, AXIS, _font(12), "lm")


# ------------------------------------------------------------------------------ densities beside draws

PANEL = 300  # screen pixels of a square picture
MARGIN = 24


def histogram(values: np.ndarray, x: np.ndarray, density: np.ndarray, title: str) -> np.ndarray:
    """(Y, X, 3): values (n,) as bars of area 1, and over them a density (m,) at evenly spaced x (m,)."""
    low, high = float(x[0]), float(x[-1])
    bars, edges = np.histogram(values, bins=40, range=(low, high))
    heights = bars / len(values) / (edges[1] - edges[0])
    top = 1.1 * max(float(heights.max()), float(density.max()))
    side, foot = FINE * PANEL, FINE * (PANEL - MARGIN)

    def place(across: float, up: float) -> tuple[float, float]:
        return side * (across - low) / (high - low), foot - (foot - FINE * MARGIN) * up / top

    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    for height, left, right in zip(heights, edges, edges[1:], strict=False):
        pen.rectangle([*place(left, height), place(right, 0)[0], foot], fill=(150, 190, 220))
    line = [place(a, b) for a, b in zip(x, density, strict=True)]
    pen.line(line, fill=COLOURS[1], width=2 * FINE, joint="curve")
    pen.line([0, foot, side, foot], fill=AXIS, width=FINE)
    for tick in range(math.ceil(low) + 1, math.floor(high)):
        pen.text((place(tick, 0)[0], foot + 4 * FINE), f"{tick}", AXIS, _font(11), "ma")
    return _titled(picture, title)


def shaded(density: np.ndarray, title: str) -> np.ndarray:
    """(Y, X, 3) of a density over the plane, (rows, columns): the darker the denser."""
    ink = np.asarray(COLOURS[1], float)
    share = (density / density.max())[..., None]
    picture = Image.fromarray(np.rint(255 + share * (ink - 255)).astype(np.uint8))
    large = picture.resize((FINE * PANEL, FINE * PANEL))
    ImageDraw.Draw(large).rectangle(
        [0, 0, large.width - 1, large.height - 1], outline=AXIS, width=FINE
    )
    return _titled(large, title)


def _titled(picture: Image.Image, title: str) -> np.ndarray:
    """With words above it, of the height of a plot of points."""
    head = FINE * 32
    whole = Image.new("RGB", (picture.width, picture.height + head), "white")
    whole.paste(picture, (0, head))
    ImageDraw.Draw(whole).text((picture.width / 2, head / 2), title, AXIS, _font(12), "mm")
    size = (whole.width // FINE, whole.height // FINE)
    return np.asarray(whole.resize(size, Image.Resampling.BOX))
