"""Everything that was found in some runs, as tables in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.gallery import answers, quality, scores
from genlab.gallery.answers import kind_of, with_error
from genlab.gallery.quality import Section
from genlab.gallery.quality import number as quality_number
from genlab.gallery.scores import Group, Row
from genlab.gallery.words import SIGNS

HEADER = ("model", "NLL (nats)", "bits/dim", "method", "parameters", "run")
NUMERIC = ("NLL (nats)", "bits/dim", "parameters")


@dataclass(frozen=True)
class Sheet:
    """One table in words. keys: what each cell is sorted by; sorted_by: the column it comes sorted by.

    numeric: the columns that hold numbers. notes: lines below it.
    """

    title: str
    explanation: str
    header: Sequence[str]
    numeric: Sequence[str]
    rows: Sequence[Sequence[str]]
    keys: Sequence[Sequence[float | str]]
    notes: Sequence[str]
    sorted_by: str = ""


@dataclass(frozen=True)
class Compared:
    """Everything that was found in some runs."""

    scores: Sequence[Group] = ()
    answers: Sequence[answers.Group] = ()
    quality: Sequence[Section] = ()

    def __bool__(self) -> bool:
        return bool(self.scores or self.answers or self.quality)


def compare(runs: Sequence[Path], split: str | None) -> tuple[Compared, list[str]]:
    """What runs have of a split, or of all, in groups of what may be compared; and what was unreadable."""
    parts: list[Any] = []
    problems: list[str] = []
    for kind in (scores, answers, quality):
        groups, unreadable = kind.compare(runs, split)
        parts.append(groups)
        problems += unreadable
    return Compared(*parts), problems


def sheets(found: Compared) -> list[Sheet]:
    """Likelihoods first, then what models answer, then sample quality."""
    return [
        *map(_of_group, found.scores),
        *map(_of_answers, found.answers),
        *map(_of_section, found.quality),
    ]


def _of_group(group: Group) -> Sheet:
    return Sheet(
        group.title,
        group.explanation,
        HEADER,
        NUMERIC,
        [cells(row, group) for row in group.rows],
        [_keys(row, group) for row in group.rows],
        notes(group),
        "NLL (nats)",
    )


def _of_section(section: Section) -> Sheet:
    """The reference row comes first: what data themselves would get."""
    header = [section.heading(column) for column in section.columns]
    values = [(run, [row.get(c) for c in section.columns]) for run, row in section.named]
    return Sheet(
        section.title,
        "Samples against data. The first row has training data in the place of samples.",
        ["run", *header],
        header,
        [[run, *map(quality_number, row)] for run, row in values],
        [[run, *map(_or_last, row)] for run, row in values],
        [],
    )


def _of_answers(group: answers.Group) -> Sheet:
    """The floor comes first; a column of remarks stands there only where there are any."""
    kinds = [kind_of(group.metric, key) for key in group.shown]
    numeric = [*(k.column for k in kinds), *(answers.FACTS.get(f, f) for f in group.facts)]
    floor = {key: (value, None) for key, value in group.floor.items()}
    first = answers.Row(group.floor_of, "", floor, None, {}, None, "")
    rows = [first, *group.rows]
    remarked = any(row.remarks or row.reason for row in rows)
    header = ["model", *numeric, "parameters", *(["remarks"] if remarked else []), "run"]
    return Sheet(
        group.title,
        f"{answers.sentence(group.metric)} The first row does not look at the data.",
        header,
        [*numeric, "parameters"],
        [_words(row, group, remarked) for row in rows],
        [_sorted_by(row, group, remarked) for row in rows],
        [],
    )


def _words(row: answers.Row, group: answers.Group, remarked: bool) -> list[str]:
    values = [with_error(*row.values[key], kind_of(group.metric, key).scale) for key in group.shown]
    facts = [f"{row.facts[key]:,}" if key in row.facts else "" for key in group.facts]
    parameters = "" if row.parameters is None else f"{row.parameters:,}"
    remarks = [", ".join(filter(None, (row.reason, row.remarks)))] if remarked else []
    return [row.model, *values, *facts, parameters, *remarks, row.run]


def _sorted_by(row: answers.Row, group: answers.Group, remarked: bool) -> list[float | str]:
    values = [_or_last(row.values[key][0]) for key in group.shown]
    facts = [_or_last(row.facts.get(key)) for key in group.facts]
    return [
        row.model,
        *values,
        *facts,
        _or_last(row.parameters),
        *([row.remarks] if remarked else []),
        row.run,
    ]


def cells(row: Row, group: Group) -> tuple[str, ...]:
    """A row in words, in the order of HEADER."""
    error = "" if row.stderr is None else f" ± {row.stderr:.2f}"
    sign = SIGNS.get(group.guarantee, "≈ ")
    number = f"{sign}{row.nll:.2f}{error}{_between(row)}" if row.nll is not None else "no number"
    bits = "" if row.bits_per_dim is None else f"{row.bits_per_dim:.3f}"
    method = f"{row.method}, averaged weights" if row.weights == "ema" else row.method
    method = f"{row.reason}; {method}" if row.nll is None else method
    parameters = "" if row.parameters is None else f"{row.parameters:,}"
    return row.model, number, bits, method, parameters, row.run


def _keys(row: Row, group: Group) -> list[float | str]:
    nll, bits, parameters = map(_or_last, (row.nll, row.bits_per_dim, row.parameters))
    return [row.model, nll, bits, cells(row, group)[3], parameters, row.run]


def _or_last(number: float | None) -> float:
    """Numbers that are missing come last."""
    return math.inf if number is None else number


def _between(row: Row) -> str:
    """The interval of an error that all data share; a bracket where both of its ends are bounds."""
    if row.nll_low is None or row.nll_high is None:
        return ""
    left, right = "[]" if row.two_sided else "()"
    return f" {left}{row.nll_low:.2f}, {row.nll_high:.2f}{right}"


def notes(group: Group) -> list[str]:
    """What stands under a group: the simplest model, and the remarks."""
    floor = [] if group.floor is None else [f"independent entries: {group.floor:.2f} nats"]
    return floor + remarks(group)


def remarks(group: Group) -> list[str]:
    """What an estimator is to be read beside, and what the brackets behind numbers mean."""
    lines = []
    for row in group.rows:
        lines += [f"{row.run}: {name} score {nll:.2f} nats" for name, nll in row.references.items()]
    if any(row.two_sided for row in group.rows):
        lines.append("[a, b]: the error that all data share lies between two bounds")
    if any(row.nll_low is not None and not row.two_sided for row in group.rows):
        lines.append("(a, b): an interval of the error that all data share")
    return lines
