"""The gallery: an index over runs and a page for each, as files that need no server and no network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from genlab.errors import UsageError
from genlab.gallery import curves
from genlab.gallery.html import render
from genlab.gallery.readme import readme
from genlab.gallery.sheets import compare
from genlab.gallery.tables import as_markdown
from genlab.gallery.view import read_view
from genlab.gallery.views import RunView
from genlab.runs import RunDirectory, atomic, write_json
from genlab.trust import read_json

MANIFEST = ".genlab-gallery.json"  # the names of the files that genlab wrote, and may remove
STAGING = (
    ".genlab-gallery.new"  # where a gallery is written before it takes the place of the old one
)

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
    shown; files that genlab did not write are left alone.
    advance(done, note): called after each run. markdown: write README.md too.
    Raises UsageError where a path is no run, or out holds something else and overwrite is not given.
    """
    if not runs:
        raise UsageError("name at least one run directory")
    _check_out(out, overwrite)
    for path in runs:
        run = RunDirectory(path)
        for file in (run.record, run.config):
            if not file.is_file():
                raise UsageError(f"{path} is not a run directory: it has no {file.name}")
    site = _Site(out)
    views = []
    for done, (path, slug) in enumerate(zip(runs, slugs(runs), strict=True), 1):
        view = read_view(path, slug)
        site.write_run(view)
        views.append(view)
        advance(done, view.name)
    if markdown:
        site.write_readme(views, runs)
    site.write_index(views)
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


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"-o {out} is a file: name a folder")
    there = {path.name for path in out.iterdir()} - {STAGING} if out.is_dir() else set()
    if there and MANIFEST not in there and not overwrite:
        raise UsageError(
            f"{out} holds something else than a gallery: name another folder with -o, or give "
            "--overwrite, which replaces files of the same name and keeps the others"
        )


def _clear(out: Path) -> None:
    """Remove what an earlier gallery wrote here, and folders that are empty then."""
    for name in _written(out):
        path = out / name
        if path.resolve().is_relative_to(out.resolve()):
            path.unlink(missing_ok=True)
            for folder in path.relative_to(out).parents[:-1]:
                _remove_if_empty(out / folder)


def _written(out: Path) -> list[str]:
    """The names in the manifest. Raises UsageError where it is damaged."""
    manifest = out / MANIFEST
    if not manifest.is_file():
        return []
    try:
        names = read_json(manifest)["files"]
        return [str(name) for name in names]
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{manifest} is damaged, so nothing can be removed safely: name another folder with -o"
        ) from None


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class _Site:
    """Files of a gallery, written beside the old one."""

    def __init__(self, out: Path) -> None:
        self.out, self.staging = out, out / STAGING
        self.names: list[str] = []
        shutil.rmtree(self.staging, ignore_errors=True)

    def write_run(self, view: RunView) -> None:
        page = render("run.html", "run.js", run=view, geometry=curves).encode()
        files = {f"{view.slug}/{name}": data for name, data in view.files.items()}
        self._write(files | {f"{view.slug}/index.html": page})
        view.files.clear()

    def write_index(self, views: Sequence[RunView]) -> None:
        choices = {
            "models": sorted({view.model for view in views}),
            "data": sorted({view.data for view in views}),
            "guarantees": sorted({view.headline.guarantee for view in views if view.headline}),
        }
        page = render("index.html", "index.js", runs=views, choices=choices).encode()
        self._write({"index.html": page})

    def write_readme(self, views: Sequence[RunView], runs: Sequence[Path]) -> None:
        tables = as_markdown(compare(runs, "test")[0])
        self._write({"README.md": readme(views, tables).encode()})

    def _write(self, files: dict[str, bytes]) -> None:
        self.names += files
        for name, data in files.items():
            with atomic(self.staging / name) as file:
                file.write(data)

    def take_place(self) -> None:
        """Remove the old gallery and move the new one there; the manifest lists files before they come."""
        _clear(self.out)
        write_json(self.out / MANIFEST, {"genlab": "gallery", "files": self.names})
        for name in self.names:
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
            (self.staging / name).replace(self.out / name)
        shutil.rmtree(self.staging)
