"""The pictures of a run, taken from its directory if they are whole and lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genlab.gallery.copying import copying
from genlab.gallery.likely import histogram
from genlab.gallery.pixels import Grid
from genlab.gallery.views import Draws, FigureView, RunView, Shown
from genlab.runs import RunDirectory
from genlab.trust import Refused, read_json
from genlab.trust.arrays import read_npz
from genlab.trust.files import read_bytes
from genlab.trust.pictures import size_of


def read_pictures(view: RunView, run: RunDirectory) -> None:
    """Samples, data beside them, what is known of both, and figures, into the view."""
    _read_draws(view, run)
    _read_reference(view, run)
    _read_nearest(view, run)
    _read_likelihoods(view, run)
    _read_figures(view, run)


def _read_draws(view: RunView, run: RunDirectory) -> None:
    for path in sorted(run.samples.glob("*.json")):
        entry = _read_entry(view, path)
        if entry is not None:
            view.draws.append(
                Draws(
                    kind=str(entry.get("kind", "samples")),
                    picture=_picture(view, run.samples, entry.get("picture")),
                    thumbnail=_picture(view, run.samples, entry.get("thumbnail")),
                    words=entry,
                    note=str(entry.get("note", "")),
                    grid=_grid(entry.get("grid")),
                )
            )


def _read_reference(view: RunView, run: RunDirectory) -> None:
    entry = _read_entry(view, run.figures / "data.json")
    if entry is not None:
        view.reference_words = entry
        view.reference = _picture(view, run.figures, entry.get("picture"))


def _read_nearest(view: RunView, run: RunDirectory) -> None:
    path = run.figures / "nearest.json"
    entry = _read_entry(view, path)
    if entry is None:
        return
    with _noted(view, path):
        view.copying = copying(entry)
    if view.copying is not None and entry.get("picture") is not None:
        view.nearest = _picture(view, run.figures, entry["picture"])


def _read_likelihoods(view: RunView, run: RunDirectory) -> None:
    path = run.figures / "likelihoods.json"
    entry = _read_entry(view, path)
    if entry is not None:
        with _noted(view, path):
            view.likely = histogram(read_npz(run.figures / "likelihoods.npz"), entry)


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
    entries = (_read_entry(view, run.figures / "figures.json") or {}).get("figures")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            view.figures.append(_figure_view(view, run.figures, entry))


def _figure_view(view: RunView, folder: Path, entry: Mapping[str, Any]) -> FigureView:
    title, caption = str(entry.get("title", "figure")), str(entry.get("caption", ""))
    if "error" in entry:
        missing = Shown(reason=f"it could not be drawn ({entry['error']})")
        return FigureView(title, caption, missing, None, None, "")
    files = entry.get("files")
    files = files if isinstance(files, dict) else {}
    return FigureView(
        title,
        caption,
        _picture(view, folder, files.get("still")),
        _picture(view, folder, files["animation"]) if "animation" in files else None,
        _picture(view, folder, files["download"]) if "download" in files else None,
        str(entry.get("note", "")),
        _picture(view, folder, files["frames"]) if "frames" in files else None,
        _grid(entry.get("sheet")),
    )


def _read_entry(view: RunView, path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is no such file and, with a problem noted, where it holds something
    else.
    """
    if not path.is_file():
        return None
    try:
        entry = read_json(path)
        if not isinstance(entry, dict):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError) as error:
        view.problems.append(f"{path.name} is unreadable: {error}")
        return None
    return entry


def _picture(view: RunView, folder: Path, name: Any) -> Shown:
    """A picture file of the run, taken into view.files if it is one, whole and inside the folder."""
    if not isinstance(name, str) or Path(name).name != name:
        return Shown(reason="no picture is named")
    path = folder / name
    try:
        if path.resolve().parent != folder.resolve():
            return Shown(reason=f"{name} lies outside the run")
        if not path.is_file():
            return Shown(reason=f"{name} is missing")
        data = read_bytes(path)
        width, height = size_of(data, ("PNG", "GIF"))
    except (Refused, OSError, ValueError) as error:
        return Shown(reason=f"{name} is unreadable ({error})")
    href = f"{folder.name}/{name}"
    view.files[href] = data
    return Shown(href, width, height)
