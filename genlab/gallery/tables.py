"""Compared scores as text: one table per group, in any of the formats that people paste."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from jinja2 import Environment, PackageLoader

from genlab.gallery.scores import Group, Row
from genlab.gallery.words import SIGNS

HEADER = ("model", "NLL (nats)", "bits/dim", "method", "parameters", "run")


def cells(row: Row, group: Group) -> tuple[str, ...]:
    """A row in words, in the order of HEADER."""
    error = "" if row.stderr is None else f" ± {row.stderr:.2f}"
    sign = SIGNS.get(group.guarantee, "≈ ")
    number = f"no number ({row.reason})" if row.nll is None else f"{sign}{row.nll:.2f}{error}"
    bits = "" if row.bits_per_dim is None else f"{row.bits_per_dim:.3f}"
    method = f"{row.method}, averaged weights" if row.weights == "ema" else row.method
    parameters = "" if row.parameters is None else f"{row.parameters:,}"
    return row.model, number, bits, method, parameters, row.run


def floor(group: Group) -> str:
    """The number of the simplest model, to stand under the group."""
    return "" if group.floor is None else f"independent entries: {group.floor:.2f} nats"


def as_table(groups: Sequence[Group]) -> str:
    """For a terminal; as wide as it needs to be where the output is not one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    own = Console()
    console = Console(file=file, width=own.width if own.is_terminal else 160, highlight=False)
    for group in groups:
        caption = Text(floor(group)) if floor(group) else None
        table = Table(title=Text(group.title), caption=caption)
        table.title_justify = table.caption_justify = "left"
        for name in HEADER:
            right = name in ("NLL (nats)", "bits/dim", "parameters")
            table.add_column(name, justify="right" if right else "left", overflow="fold")
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
        if floor(group):
            lines += ["", f"*{floor(group)}*"]
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
    return template.render(groups=groups, header=HEADER, cells=cells, floor=floor) + "\n"


WRITERS: dict[str, Callable[[Sequence[Group]], str]] = {
    "table": as_table,
    "md": as_markdown,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}
