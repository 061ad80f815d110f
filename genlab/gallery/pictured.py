"""The pictures of a run, taken from its directory if they are whole and lie in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genlab.gallery.copying import copying
from genlab.gallery.likely import histogram
from genlab.gallery.pixels import Grid
from genlab.gallery.views import Draws, FigureView, RunView, Shown
from genlab.runs import RunDirectory
from genlab.shapes import NOTHING, TEXT, Shape, require
from genlab.trust import Refused, read_json
from genlab.trust.arrays import read_npz
from genlab.trust.files import admit, read_bytes
from genlab.trust.pictures import size_of

NAME = re.compile(
    r"[\w.-]+\.(png|apng|gif|webp)", re.ASCII
)  # of a picture: a browser runs no such file
DRAWS = {
    "kind?": str,
    "seed?": int,
    "label?": (int, NOTHING),
    "n?": int,
    "note?": str,
    "command?": str,
    "sampler?": TEXT,
    "evidence?": TEXT,
}


def read_pictures(view: RunView, run: RunDirectory) -> None:
    """Samples, data beside them, what is known of both, and figures, into the view."""
    _read_draws(view, run)
    _read_reference(view, run)
    _read_nearest(view, run)
    _read_likelihoods(view, run)
    _read_figures(view, run)


def _read_draws(view: RunView, run: RunDirectory) -> None:
    for path in sorted(run.samples.glob("*.json")):
        entry = _read_entry(view, run, path, DRAWS)
        if entry is not None:
            view.draws.append(
                Draws(
                    kind=entry.get("kind", "samples"),
                    picture=_picture(view, run, run.samples, entry.get("picture")),
                    thumbnail=_picture(view, run, run.samples, entry.get("thumbnail")),
                    words=entry,
                    note=entry.get("note", ""),
                    grid=_grid(entry.get("grid")),
                )
            )


def _read_reference(view: RunView, run: RunDirectory) -> None:
    entry = _read_entry(view, run, run.figures / "data.json")
    if entry is not None:
        view.reference_words = entry
        view.reference = _picture(view, run, run.figures, entry.get("picture"))


def _read_nearest(view: RunView, run: RunDirectory) -> None:
    path = run.figures / "nearest.json"
    entry = _read_entry(view, run, path)
    if entry is None:
        return
    with _noted(view, path):
        view.copying = copying(entry)
    if view.copying is not None and entry.get("picture") is not None:
        view.nearest = _picture(view, run, run.figures, entry["picture"])


def _read_likelihoods(view: RunView, run: RunDirectory) -> None:
    path = run.figures / "likelihoods.json"
    entry = _read_entry(view, run, path)
    if entry is not None:
        with _noted(view, path):
            view.likely = histogram(
                read_npz(admit(run.figures / "likelihoods.npz", run.path)), entry
            )


@contextmanager
def _noted(view: RunView, path: Path) -> Iterator[None]:
    """What is not as it should be in a file becomes a problem of the page."""
    try:
        yield
    except (Refused, OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        view.problems.append(f"{path.name} is unreadable: {type(error).__name__}: {error}")


def _grid(entry: Any) -> Grid | None:
    """None where it is none that a picture could have."""
    try:
        grid = Grid(**{name: int(value) for name, value in entry.items()})
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None
    sound = 0 < grid.n <= 4096 and min(grid.columns, grid.width, grid.height) > 0 <= grid.gap
    return grid if sound else None


def _read_figures(view: RunView, run: RunDirectory) -> None:
    entries = (_read_entry(view, run, run.figures / "figures.json") or {}).get("figures")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            view.figures.append(_figure_view(view, run, run.figures, entry))


def _figure_view(
    view: RunView, run: RunDirectory, folder: Path, entry: Mapping[str, Any]
) -> FigureView:
    title, caption = str(entry.get("title", "figure")), str(entry.get("caption", ""))
    if "error" in entry:
        missing = Shown(reason=f"it could not be drawn ({entry['error']})")
        return FigureView(title, caption, missing, None, {}, "")
    files = entry.get("files")
    files = files if isinstance(files, dict) else {}
    return FigureView(
        title,
        caption,
        _picture(view, run, folder, files.get("still")),
        _picture(view, run, folder, files["animation"]) if "animation" in files else None,
        {
            kind.upper(): _picture(view, run, folder, files[kind])
            for kind in ("gif", "webp")
            if kind in files
        },
        str(entry.get("note", "")),
        _picture(view, run, folder, files["frames"]) if "frames" in files else None,
        _grid(entry.get("sheet")),
    )


def _read_entry(
    view: RunView, run: RunDirectory, path: Path, shape: Shape = dict
) -> dict[str, Any] | None:
    """A JSON object; None where there is no such file and, with a problem noted, where it holds something
    else, or lies elsewhere.
    """
    if not path.is_file():
        return None
    try:
        entry = read_json(path, run.path)
        require(entry, shape)
    except (OSError, ValueError, TypeError) as error:
        view.problems.append(f"{path.name} is unreadable: {error}")
        return None
    return entry


def _picture(view: RunView, run: RunDirectory, folder: Path, name: Any) -> Shown:
    """A picture file of the run, taken into view.files if it is one, whole and inside the run."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return Shown(reason="no picture is named")
    path = folder / name
    if not path.is_file():
        return Shown(reason=f"{name} is missing")
    try:
        data = read_bytes(path, run.path)
        width, height = size_of(data, ("PNG", "GIF", "WEBP"))
    except (OSError, ValueError) as error:
        return Shown(reason=f"{name} is unreadable ({error})".replace(f"{run.path}/", ""))
    href = f"{folder.name}/{name}"
    view.files[href] = data
    return Shown(href, width, height)
