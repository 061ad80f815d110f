"""The gallery as a page of a repository: README.md, which the places that host repositories show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from genlab.gallery.tables import escaped
from genlab.gallery.views import RunView

ACROSS = 3  # pictures in a row


def readme(views: Sequence[RunView], tables: str) -> str:
    """Markdown: pictures by data set, each with its score, and all scores in tables."""
    data = dict.fromkeys((view.data, view.variant) for view in views)
    parts = [
        "# Samples\n",
        "Written by `genlab gallery`. Each picture leads to the samples as they came, not selected; "
        "[index.html](index.html), opened in a browser, has a page for each run: how its samples came to "
        "be, what it finds likely, whether it copies, and how to make it again.\n",
    ]
    for name, variant in data:
        parts.append(f"## {escaped(name)}{f' ({escaped(variant)})' if variant else ''}\n")
        parts.append(_pictures([v for v in views if (v.data, v.variant) == (name, variant)]))
    return "\n".join([*parts, "## Scores\n", tables])


def _pictures(views: Sequence[RunView]) -> str:
    """An HTML table, as Markdown's own has no cells of several lines. No line of it may be empty."""
    cells = [_cell(view) for view in views]
    rows = [cells[i : i + ACROSS] for i in range(0, len(cells), ACROSS)]
    lines = [f"<tr>\n{''.join(row)}</tr>\n" for row in rows]
    return f"<table>\n{''.join(lines)}</table>\n"


def _cell(view: RunView) -> str:
    shown = view.thumbnail
    picture = "no picture"
    if shown is not None and not shown.reason:
        target = view.samples.picture.href if view.samples else shown.href
        source, alt = f"{view.slug}/{shown.href}", f"{view.model} on {view.data}"
        picture = f'<a href="{view.slug}/{target}"><img src="{source}" alt="{_html(alt)}"></a>'
    score = "no test score"
    if view.headline is not None:
        score = f"NLL {view.headline.number} nats, {view.headline.kind}"
    elif view.headlines:
        score = view.headlines[0]
    return (
        f"<td>{picture}<br><b>{_html(view.model)}</b> {_html(view.name)}<br>{_html(score)}</td>\n"
    )


def _html(words: str) -> str:
    return escape(" ".join(words.split()))
