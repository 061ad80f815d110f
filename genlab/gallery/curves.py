"""Training curves as drawings: metrics.csv becomes lines on axes, in numbers that a template writes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from genlab.shapes import LARGEST
from genlab.trust import read_text

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 28, 10, 42
MOST_POINTS = 400  # on a line: more cannot be seen
# How the names of validation values begin that are nats per datum.
NATS = ("val/nll", "val/nelbo", "val/bound")
DECADES = 20.0  # a tenth of the values lies this many times above the median: a logarithmic axis

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """points: for an SVG polyline. style: 1, 2, … chooses colour and dashes."""

    name: str
    points: str
    style: int
    last: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """One pair of axes: steps to the right, values upwards."""

    title: str
    y_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    note: str


def read_curves(path: Path, within: Path | None = None) -> dict[str, dict[str, list[Point]]]:
    """{stage: {name: [(step, value), …]}} of a metrics.csv, stages in order.

    within: the folder that it must lie in. Raises OSError or ValueError where the file cannot be read.
    """
    curves: dict[str, dict[str, list[Point]]] = {}
    with io.StringIO(read_text(path, within), newline="") as file:
        for row in csv.DictReader(file):
            if None in row.values() or not {"stage", "name", "step", "value"} <= set(row):
                raise ValueError(f"a row of {path.name} is not stage, epoch, step, name, value")
            if row["value"]:
                points = curves.setdefault(row["stage"], {}).setdefault(row["name"], [])
                points.append((_finite(row["step"]), _finite(row["value"])))
    return curves


def _finite(text: str) -> float:
    value = float(text)
    if not abs(value) < LARGEST:
        raise ValueError(f"{text} can be drawn on no axis")
    return value


def charts(series: dict[str, list[Point]]) -> list[Chart]:
    """Charts of one stage: the loss with the nats of its own size, and one for each other value.

    A model that was solved has made no step: there is nothing to draw.
    """
    shown = {
        name: points for name, points in series.items() if name == "loss" or name.startswith("val/")
    }
    loss = shown.get("loss")
    together = [
        name
        for name in shown
        if name == "loss" or (name.startswith(NATS) and _fits(loss, shown[name]))
    ]
    alone = [name for name in shown if name not in together]
    groups = ([together] if together else []) + [[name] for name in alone]
    drawn = [group for group in groups if any(step > 0 for n in group for step, _ in shown[n])]
    return [_chart({name: shown[name] for name in group}) for group in drawn]


def _fits(loss: list[Point] | None, points: list[Point]) -> bool:
    """Whether points can be read on the axis of the loss."""
    if not loss:
        return False
    values = [value for _, value in loss]
    low, *_, high = quantiles(values, n=10) if len(values) > 1 else values * 2
    reach = max(high - low, abs(median(values)) / 4)
    return low - reach <= median(value for _, value in points) <= high + reach


def _chart(series: dict[str, list[Point]]) -> Chart:
    points = [point for line in series.values() for point in line]
    last_step = max(step for step, _ in points) or 1.0
    axis = Axis.of([value for _, value in points])

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last_step

    lines = tuple(
        Line(
            name,
            _points([(x(step), axis.at(value)) for step, value in _thinned(line)]),
            style,
            f"{line[-1][1]:.4g}",
        )
        for style, (name, line) in enumerate(series.items(), 1)
    )
    above = sum(value > axis.high for _, value in points)
    return Chart(
        title=" and ".join(series),
        y_label=_unit(series),
        lines=lines,
        x_ticks=tuple(Tick(round(x(t), 1), f"{t:,.0f}") for t in round_steps(0, last_step)),
        y_ticks=axis.ticks,
        note=_note(above, axis),
    )


def _points(places: list[Point]) -> str:
    """For an SVG polyline; a place alone becomes a short dash, since a line of one point is not drawn.

    >>> _points([(58.0, 10.0)])
    '56.0,10.0 60.0,10.0'
    """
    if len(places) == 1:
        ((x, y),) = places
        places = [(x - 2, y), (x + 2, y)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _note(above: int, axis: Axis) -> str:
    if axis.logarithmic:
        return "Logarithmic axis."
    if not above:
        return ""
    return f"{above} early point{'s lie' if above > 1 else ' lies'} above the frame."


@dataclass(frozen=True)
class Axis:
    """The vertical axis of a chart from low to high, which may be logarithmic."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, values: list[float]) -> Axis:
        """Fits these values; a few of them may tower above it, as the first of a training do."""
        high = sorted(values)[math.floor(0.9 * len(values))]
        if min(values) > 0 and high > DECADES * median(values):
            return cls.around(values, logarithmic=True)
        low, high = _limits(values)
        return cls(low, high, False)

    @classmethod
    def around(cls, values: Sequence[float], *, logarithmic: bool) -> Axis:
        """From a little below the lowest to a little above the highest."""
        low, high = min(values), max(values)
        if logarithmic:
            room = (high / low) ** 0.05
            return cls(low / room, high * room, True)
        room = 0.05 * (high - low) or 0.5
        return cls(low - room, high + room, False)

    def at(self, value: float) -> float:
        """How far down in the picture a value lies."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        drawn = min(self._scaled(value), high + 9 * (high - low))  # the frame cuts it off before
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - drawn) / (high - low)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value

    @property
    def ticks(self) -> tuple[Tick, ...]:
        values = (_decades if self.logarithmic else round_steps)(self.low, self.high)
        named = zip(values, labels(values), strict=True)
        return tuple(Tick(round(self.at(value), 1), label) for value, label in named)


def labels(values: Sequence[float]) -> list[str]:
    """Numbers for the side of a chart, all in one notation.

    >>> labels([-250.0, 0.0]), labels([-0.0005, 0.0]), labels([1e6, 2e6])
    (['-250', '0'], ['-5e-4', '0'], ['1e6', '2e6'])
    >>> labels([27.0405, 27.041])  # three digits would not tell them apart
    ['27.0405', '27.041']
    """
    plain = [f"{value:g}" for value in values]
    if all(len(label) <= 6 and "e" not in label for label in plain):
        return plain
    powers = [_power(value) for value in values]
    return powers if len(set(powers)) == len(powers) else [f"{value:.10g}" for value in values]


def _power(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(power)}" if value else "0"


def _limits(given: list[float]) -> tuple[float, float]:
    """Lowest and highest value shown: the first ones may tower."""
    values = sorted(given)
    low, high = values[0], values[-1]
    usual = values[min(len(values) - 1, math.ceil(0.97 * len(values)))]
    if len(values) > 30 and high - low > 3 * (usual - low) > 0:
        high = min(high, usual + (usual - low))
    axis = Axis.around([low, high], logarithmic=False)
    return axis.low, axis.high


def _unit(series: dict[str, list[Point]]) -> str:
    if any(name.startswith(NATS) for name in series):
        return "nats per datum"
    return "loss, in the model's own unit" if "loss" in series else next(iter(series))


def _thinned(points: list[Point]) -> list[Point]:
    """Every k-th point and the last."""
    every = math.ceil(len(points) / MOST_POINTS)
    return [*points[:-1:every], points[-1]]


def round_steps(low: float, high: float) -> list[float]:
    """Four or so round numbers between low and high."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{k * step:.10g}") for k in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two positive numbers, with their doubles and fives where there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    every = math.ceil((last - first) / 6)
    found = [f * 10.0**power for power in range(first, last + 1, every) for f in factors]
    return [value for value in found if low <= value <= high]
