"""Compared scores as text: one table per group, in any of the formats that people paste."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Sequence

from jinja2 import Environment, PackageLoader

from genlab.gallery.scores import Group, Row
from genlab.gallery.words import SIGNS

HEADER = ("model", "NLL (nats)", "bits/dim", "method", "parameters", "run")
NUMERIC = ("NLL (nats)", "bits/dim", "parameters")


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


def _between(row: Row) -> str:
    """The interval of an error that all data share; a bracket where both of its ends are bounds."""
    if row.nll_low is None or row.nll_high is None:
        return ""
    left, right = "[]" if row.two_sided else "()"
    return f" {left}{row.nll_low:.2f}, {row.nll_high:.2f}{right}"


def notes(group: Group) -> list[str]:
    """What stands under a group: the simplest model, and what its estimator is to be read beside."""
    lines = [] if group.floor is None else [f"independent entries: {group.floor:.2f} nats"]
    for row in group.rows:
        lines += [f"{row.run}: {name} score {nll:.2f} nats" for name, nll in row.references.items()]
    if any(row.two_sided for row in group.rows):
        lines.append("[a, b]: the error that all data share lies between two bounds")
    if any(row.nll_low is not None and not row.two_sided for row in group.rows):
        lines.append("(a, b): an interval of the error that all data share")
    return lines


def as_table(groups: Sequence[Group]) -> str:
    """For a terminal; as wide as it needs to be where the output is not one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    own = Console()
    console = Console(file=file, width=own.width if own.is_terminal else 160, highlight=False)
    for group in groups:
        caption = Text("\n".join(notes(group))) if notes(group) else None
        table = Table(title=Text(group.title), caption=caption)
        table.title_justify = table.caption_justify = "left"
        for name in HEADER:
            justify = "right" if name in NUMERIC else "left"
            table.add_column(name, justify=justify, overflow="fold")
        for row in group.rows:
            table.add_row(*(Text(cell) for cell in cells(row, group)))
        console.print(table)
    return file.getvalue()


def as_markdown(groups: Sequence[Group]) -> str:
    parts = []
    for group in groups:
        lines = [f"**{_plain(group.title)}**", "", _line(HEADER)]
        lines.append("|---|--:|--:|---|--:|---|")
        lines += [_line(cells(row, group)) for row in group.rows]
        for note in notes(group):
            lines += ["", f"*{_plain(note)}*"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(text) for text in texts) + " |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "|*_`[]\\" else c for c in flat)


def as_json(groups: Sequence[Group]) -> str:
    return json.dumps([dataclasses.asdict(group) for group in groups], indent=2) + "\n"


def as_csv(groups: Sequence[Group]) -> str:
    """One line per score, its group in the first columns."""
    file = io.StringIO()
    group_names = [f.name for f in dataclasses.fields(Group) if f.name != "rows"]
    row_names = [f.name for f in dataclasses.fields(Row)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(group_names + row_names)
    for group in groups:
        about = [getattr(group, name) for name in group_names]
        writer.writerows(about + [getattr(row, name) for name in row_names] for row in group.rows)
    return file.getvalue()


def as_html(groups: Sequence[Group]) -> str:
    """A page of its own."""
    loader = PackageLoader("genlab.gallery")
    templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = templates.get_template("compare.html")
    about = {"header": HEADER, "numeric": NUMERIC, "cells": cells, "keys": sort_keys}
    return template.render(groups=groups, notes=notes, **about) + "\n"


def sort_keys(row: Row, group: Group) -> tuple[float | str, ...]:
    """What a page sorts each cell by, in the order of HEADER; numbers that are missing come last."""
    last = math.inf
    numbers = [last if n is None else n for n in (row.nll, row.bits_per_dim, row.parameters)]
    nll, bits, parameters = numbers
    return row.model, nll, bits, cells(row, group)[3], parameters, row.run


WRITERS: dict[str, Callable[[Sequence[Group]], str]] = {
    "table": as_table,
    "md": as_markdown,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}
