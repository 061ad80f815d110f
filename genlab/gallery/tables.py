"""Compared scores as text, in any of the formats that people paste."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from genlab.gallery.html import render
from genlab.gallery.scores import Group, Row
from genlab.gallery.sheets import Compared, Sheet, sheets
from genlab.gallery.summary import summaries


def as_table(found: Compared) -> str:
    """For a terminal; as wide as it needs to be where the output is not one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    own = Console()
    console = Console(file=file, width=own.width if own.is_terminal else 200, highlight=False)
    for sheet in sheets(found):
        caption = Text("\n".join(sheet.notes)) if sheet.notes else None
        table = Table(title=Text(sheet.title), caption=caption)
        table.title_justify = table.caption_justify = "left"
        for name in sheet.header:
            justify = "right" if name in sheet.numeric else "left"
            table.add_column(name, justify=justify, overflow="fold")
        for row in sheet.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    return file.getvalue()


def as_markdown(found: Compared) -> str:
    return _markdown(sheets(found))


def as_summary(found: Compared) -> str:
    """One Markdown table for each data set."""
    return _markdown(summaries(found))


def _markdown(found: Sequence[Sheet]) -> str:
    parts = []
    for sheet in found:
        lines = [f"**{escaped(sheet.title)}**", "", _line(sheet.header)]
        rules = ("--:" if name in sheet.numeric else "---" for name in sheet.header)
        lines.append("|" + "|".join(rules) + "|")
        lines += [_line(row) for row in sheet.rows]
        for note in sheet.notes:
            lines += ["", f"*{escaped(note)}*"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(text) for text in texts) + " |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "|*_`[]\\" else c for c in flat)


def as_json(found: Compared) -> str:
    content = {
        "scores": [dataclasses.asdict(group) for group in found.scores],
        "answers": [dataclasses.asdict(group) for group in found.answers],
        "quality": [section.as_dict() for section in found.quality],
    }
    return json.dumps(content, indent=2) + "\n"


def as_csv(found: Compared) -> str:
    """One line per score, its group in the first columns. Metrics have other columns: see JSON."""
    file = io.StringIO()
    group_names = [f.name for f in dataclasses.fields(Group) if f.name != "rows"]
    row_names = [f.name for f in dataclasses.fields(Row)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(group_names + row_names)
    for group in found.scores:
        about = [getattr(group, name) for name in group_names]
        writer.writerows(about + [getattr(row, name) for name in row_names] for row in group.rows)
    return file.getvalue()


def as_html(found: Compared) -> str:
    """A page of its own, whose tables can be sorted."""
    return render("compare.html", "sort.js", sheets=sheets(found)) + "\n"


WRITERS: dict[str, Callable[[Compared], str]] = {
    "table": as_table,
    "md": as_markdown,
    "summary": as_summary,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}
