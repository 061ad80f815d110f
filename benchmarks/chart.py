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
        across, down = FINE * (WIDTH - 170), FINE * (TOP + 14 + 18 * row)
        pen.line([across, down, across + 22 * FINE, down], fill=colour, width=2 * FINE)
        pen.text((across + 30 * FINE, down), name, AXIS, _font(12), "lm")
