"""The gallery: an index over runs and a page for each, as files that need no server and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from genlab.errors import UsageError
from genlab.gallery import curves
from genlab.gallery.beside import Beside, beside
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
            view = _view(path, slug)
            site.write({f"{slug}/{name}": data for name, data in view.files.items()})
            view.files.clear()
            views.append(view)
            advance(done, view.name)
        for i, view in enumerate(views):
            views[i], page = _page(view, views)
            site.write({f"{view.slug}/index.html": page})
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


def _view(path: Path, slug: str) -> RunView:
    """What is known of a run. It may hold anything: what nobody has foreseen is said, others are shown."""
    try:
        return read_view(path, slug)
    except UsageError:
        raise
    except Exception as error:
        return _broken(slug, path.resolve().name, error)


def _page(view: RunView, views: Sequence[RunView]) -> tuple[RunView, bytes]:
    """The page of one of the runs, and the run as it is shown there."""
    try:
        return view, _rendered(view, beside(view, views))
    except Exception as error:
        broken = _broken(view.slug, view.name, error)
        return broken, _rendered(broken, [])


def _broken(slug: str, name: str, error: Exception) -> RunView:
    return RunView(slug, name, reason=f"It cannot be shown ({type(error).__name__}: {error}).")


def _rendered(view: RunView, others: Sequence[Beside]) -> bytes:
    return render("run.html", "run.js", run=view, beside=others, geometry=curves).encode()


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
