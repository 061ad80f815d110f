"""What ``select`` tried, as a table and a figure. Reads a run record and needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from genlab.config import notation
from genlab.gallery.curves import LEFT, RIGHT, TOP, WIDTH, Axis, Tick

# A mark for each line, around (0, 0): circle, square, diamond, triangles, bar. More are not told apart.
SHAPES = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    "M-4 -4h8v8h-8z",
    "M0 -6L5 0L0 6L-5 0z",
    "M0 -5.5L5 4H-5z",
    "M0 5.5L5 -4H-5z",
    "M-2 -6h4v12h-4z",
)
CROSS = "M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5"
WIDE = 30.0  # ratio of the largest to the smallest number, from which on an axis is logarithmic
CHARACTER = 6.5  # pixels of a label


@dataclass(frozen=True)
class Candidate:
    """values: what was set, by key. validation: None where it diverged, with the reason."""

    values: Mapping[str, Any]
    validation: float | None
    reason: str
    chosen: bool

    @property
    def number(self) -> str:
        """Four digits, the zeros among them."""
        return "diverged" if self.validation is None else f"{self.validation:#.4g}".rstrip(".")

    @property
    def words(self) -> str:
        return " ".join(f"{key}={named(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class Selection:
    """name: of the validation value, as "val/error". of: how many candidates there will be."""

    name: str
    keys: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    of: int

    @property
    def complete(self) -> bool:
        return any(candidate.chosen for candidate in self.candidates)

    @property
    def sentence(self) -> str:
        if self.complete:
            return f"{self.of} candidates; the one with the lowest {self.name} on validation data is chosen"
        return f"{len(self.candidates)} of {self.of} candidates so far, by {self.name} on validation data"


def read_selection(record: Mapping[str, Any]) -> Selection | None:
    """What the record of a run says of its candidates; None where nothing was selected.

    Raises KeyError, TypeError or ValueError where it is not as genlab writes it.
    """
    found = record.get("selection")
    if not found or not found["candidates"]:
        return None
    candidates = tuple(_candidate(entry, found["chosen"]) for entry in found["candidates"])
    name = next((str(entry["name"]) for entry in found["candidates"] if "name" in entry), "value")
    return Selection(name, tuple(candidates[0].values), candidates, int(found["of"]))


def _candidate(entry: Mapping[str, Any], chosen: Any) -> Candidate:
    value = entry["validation"]
    return Candidate(
        dict(entry["values"]),
        None if value is None else float(value),
        str(entry.get("reason", "")),
        entry["values"] == chosen,
    )


@dataclass(frozen=True)
class Cell:
    text: str
    chosen: bool = False


@dataclass(frozen=True)
class Table:
    """numbers: from which column on they stand. notes: lines below."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: int
    notes: tuple[str, ...]


def table(selection: Selection) -> Table:
    """Two keys cross each other; one key, or more than two, stand beside the value."""
    notes = ["* chosen"] if selection.complete else []
    notes += [f"{c.words}: {c.reason}" for c in selection.candidates if c.reason]
    crossed = len(selection.keys) == 2
    header, rows = (_crossed if crossed else _listed)(selection)
    return Table(header, rows, 1 if crossed else len(selection.keys), tuple(notes))


Rows = tuple[tuple[Cell, ...], ...]


def _listed(selection: Selection) -> tuple[tuple[str, ...], Rows]:
    rows = tuple(
        (*(Cell(named(value)) for value in c.values.values()), Cell(c.number, c.chosen))
        for c in selection.candidates
    )
    return (*selection.keys, selection.name), rows


def _crossed(selection: Selection) -> tuple[tuple[str, ...], Rows]:
    """A row for each value of the first key, a column for each of the second."""
    first, second = selection.keys
    across = _distinct(c.values[second] for c in selection.candidates)
    down = _distinct(c.values[first] for c in selection.candidates)
    cells = {
        (down.index(c.values[first]), across.index(c.values[second])): Cell(c.number, c.chosen)
        for c in selection.candidates
    }
    rows = tuple(
        (Cell(named(value)), *(cells.get((i, j), Cell("")) for j in range(len(across))))
        for i, value in enumerate(down)
    )
    return (first, *(f"{second}={named(value)}" for value in across)), rows


def as_text(selection: Selection) -> list[str]:
    """The table as lines of a terminal, the chosen one with a star."""
    shown = table(selection)
    body = [[("* " if c.chosen else "") + c.text for c in row] for row in shown.rows]
    cells = [list(shown.header), *body]
    widths = [max(len(row[i]) for row in cells) for i in range(len(shown.header))]
    lines = [
        "  ".join(
            cell.rjust(width) if i >= shown.numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [*lines, *shown.notes]


def named(value: Any) -> str:
    """A value as short as it can be read: a list of equal sizes by how many they are.

    >>> named([500, 500, 500]), named([500, 250]), named("relu"), named(0.1)
    ('500 × 3', '500-250', 'relu', '0.1')
    """
    if isinstance(value, list) and value and all(isinstance(v, int) for v in value):
        equal = len(set(value)) == 1 and len(value) > 2
        return f"{value[0]} × {len(value)}" if equal else "-".join(map(str, value))
    return value if isinstance(value, str) else notation(value)


# ----------------------------------------------------------------------------------------------- the figure


@dataclass(frozen=True)
class Mark:
    """A candidate in the figure; one that diverged has no height and stands at the upper edge."""

    x: float
    y: float
    style: int
    shape: str
    chosen: bool
    diverged: bool
    title: str


@dataclass(frozen=True)
class Series:
    """The candidates of one value of the second key. segments: polylines, cut where one diverged."""

    name: str
    style: int
    shape: str
    segments: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """The validation value against the first key, a line for each value of the second."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Series, ...]
    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    note: str


def figure(selection: Selection) -> Figure | None:
    """None where a figure would say less than the table: more than two keys, one value, many lines."""
    values = [c.validation for c in selection.candidates if c.validation is not None]
    if len(selection.keys) not in (1, 2) or not values:
        return None
    first = selection.keys[0]
    across = Across.of(_distinct(candidate.values[first] for candidate in selection.candidates))
    groups = _groups(selection)
    if len(across.values) < 2 or len(groups) > len(SHAPES):
        return None
    axis = Axis.around(values, logarithmic=_wide(values))
    marks = {
        name: _marks(group, across, axis, selection, style)
        for style, (name, group) in enumerate(groups.items(), 1)
    }
    return Figure(
        title=f"{selection.name} against {' and '.join(selection.keys)}",
        x_label=first,
        y_label=f"lowest {selection.name}",
        lines=tuple(
            Series(name, style, SHAPES[style - 1], _segments(marks[name]))
            for style, name in enumerate(groups, 1)
        ),
        marks=tuple(mark for of_one in marks.values() for mark in of_one),
        x_ticks=across.ticks,
        y_ticks=axis.ticks,
        note=_note(selection, across, axis),
    )


def _note(selection: Selection, across: Across, axis: Axis) -> str:
    logarithmic = {selection.name: axis.logarithmic, selection.keys[0]: across.logarithmic}
    axes = " and ".join(name for name, holds in logarithmic.items() if holds)
    sentences = [
        across.note,
        f"Logarithmic: {axes}." if axes else "",
        "× diverged." if any(c.validation is None for c in selection.candidates) else "",
        "Ringed: the chosen one." if selection.complete else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) >= WIDE * min(values)


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:  # lists among them, which have no hash
        if value not in found:
            found.append(value)
    return found


def _groups(selection: Selection) -> dict[str, list[Candidate]]:
    """The candidates of each line, by its name."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in selection.candidates:
        second = [f"{key}={named(candidate.values[key])}" for key in selection.keys[1:]]
        groups.setdefault(second[0] if second else selection.name, []).append(candidate)
    return groups


def _marks(
    group: Sequence[Candidate], across: Across, axis: Axis, selection: Selection, style: int
) -> list[Mark]:
    """From left to right."""
    marks = []
    for candidate in group:
        value = candidate.validation
        marks.append(
            Mark(
                x=across.at(candidate.values[selection.keys[0]]),
                y=TOP + 6.0 if value is None else round(axis.at(value), 1),
                style=style,
                shape=CROSS if value is None else SHAPES[style - 1],
                chosen=candidate.chosen,
                diverged=value is None,
                title=f"{candidate.words}: {candidate.reason or f'{selection.name} {candidate.number}'}",
            )
        )
    return sorted(marks, key=lambda mark: mark.x)


def _segments(marks: Sequence[Mark]) -> tuple[str, ...]:
    runs = [list(run) for gap, run in groupby(marks, key=lambda mark: mark.diverged) if not gap]
    return tuple(" ".join(f"{mark.x},{mark.y}" for mark in run) for run in runs)


@dataclass(frozen=True)
class Across:
    """The horizontal axis: numbers at their places, anything else side by side in its order."""

    values: Sequence[Any]
    numeric: bool
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> Across:
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        ordered = sorted(values) if numeric else values
        return cls(ordered, numeric, numeric and _wide(values))

    def at(self, value: Any) -> float:
        """How far right in the picture a value stands; there is half a step of room at each side."""
        low, high = self._place(self.values[0]), self._place(self.values[-1])
        room = (high - low) / (2 * (len(self.values) - 1))
        inside = (self._place(value) - low + room) / (high - low + 2 * room)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * inside, 1)

    def _place(self, value: Any) -> float:
        if not self.numeric:
            return float(self.values.index(value))
        return math.log(value) if self.logarithmic else float(value)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The values by name; where there is no room, fewer numbers, or numbers that the note explains."""
        ticks = [Tick(self.at(value), named(value)) for value in self.values]
        if self.numeric or not self._crowded:
            return tuple(_apart(ticks))
        return tuple(Tick(tick.at, str(i)) for i, tick in enumerate(ticks, 1))

    @property
    def _crowded(self) -> bool:
        ticks = [Tick(self.at(value), named(value)) for value in self.values]
        return len(_apart(ticks)) < len(ticks)

    @property
    def note(self) -> str:
        """What the numbers below the axis stand for, where the names themselves have no room."""
        if self.numeric or not self._crowded:
            return ""
        return ", ".join(f"{i}: {named(value)}" for i, value in enumerate(self.values, 1)) + "."


def _apart(ticks: Sequence[Tick]) -> list[Tick]:
    """Those whose labels do not touch the one before."""
    kept: list[Tick] = []
    for tick in ticks:
        if (
            not kept
            or tick.at - kept[-1].at > CHARACTER * (len(tick.label) + len(kept[-1].label) + 2) / 2
        ):
            kept.append(tick)
    return kept
