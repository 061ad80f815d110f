"""The gallery: an index over runs and a page for each, as files that need no server and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from genlab.errors import UsageError
from genlab.gallery import curves
from genlab.gallery.html import render
from genlab.gallery.readme import readme
from genlab.gallery.sheets import compare
from genlab.gallery.site import Site
from genlab.gallery.tables import as_markdown
from genlab.gallery.view import read_view
from genlab.gallery.views import RunView
from genlab.runs import RunDirectory

Advance = Callable[[int, str], None]


def build(
    runs: Sequence[Path],
    out: Path,
    *,
    overwrite: bool = False,
    advance: Advance = lambda done, note: None,
    markdown: bool = False,
) -> Path:
    """Write the gallery of these runs into out and return its index page.

    A gallery that is there already is replaced once all is written, so that it may itself be among what is
    shown; files that genlab did not write are left alone, but for those of the same name with overwrite.
    advance(done, note): called after each run. markdown: write README.md too.
    Raises UsageError where a path is no run, out holds something else and overwrite is not given, or a page
    would take the place of a run.
    """
    if not runs:
        raise UsageError("name at least one run directory")
    for path in runs:
        if not RunDirectory(path).record.is_file():
            raise UsageError(f"{path} is not a run directory: it has no run.json")
    views = []
    with Site(out, overwrite=overwrite) as site:
        for done, (path, slug) in enumerate(zip(runs, slugs(runs), strict=True), 1):
            view, files = _page(path, slug)
            site.write(files)
            view.files.clear()
            views.append(view)
            advance(done, view.name)
        if markdown:
            site.write({"README.md": _readme(views, runs)})
        site.write({"index.html": _index(views)})
        site.take_place()
    return out / "index.html"


def slugs(runs: Iterable[Path]) -> list[str]:
    """A folder name for each run, no two alike."""
    taken: list[str] = []
    for path in runs:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.resolve().name).strip("-")[:100] or "run"
        candidates = [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))]
        taken.append(
            next(c for c in candidates if c.casefold() not in {t.casefold() for t in taken})
        )
    return taken


def _page(path: Path, slug: str) -> tuple[RunView, dict[str, bytes]]:
    """A run's view and the files of its page.

    A run may hold anything. What nobody has foreseen is said on its page, and the others are written.
    """
    try:
        view = read_view(path, slug)
        return view, _files(view)
    except UsageError:
        raise
    except Exception as error:
        reason = f"It cannot be shown ({type(error).__name__}: {error})."
        view = RunView(slug, path.resolve().name, reason=reason)
        return view, _files(view)


def _files(view: RunView) -> dict[str, bytes]:
    page = render("run.html", "run.js", run=view, geometry=curves).encode()
    return {f"{view.slug}/{name}": data for name, data in view.files.items()} | {
        f"{view.slug}/index.html": page
    }


def _index(views: Sequence[RunView]) -> bytes:
    choices = {
        "models": sorted({view.model for view in views}),
        "data": sorted({view.data for view in views}),
        "kinds": sorted({view.headline.kind for view in views if view.headline}),
    }
    scored = [
        (*view.headline.group, view.headline.nll, view.slug) for view in views if view.headline
    ]
    ranks = {slug: rank for rank, (*_, slug) in enumerate(sorted(scored))}
    return render("index.html", "index.js", runs=views, choices=choices, ranks=ranks).encode()


def _readme(views: Sequence[RunView], runs: Sequence[Path]) -> bytes:
    readable = [run for run, view in zip(runs, views, strict=True) if view.readable]
    return readme(views, as_markdown(compare(readable, "test")[0])).encode()
