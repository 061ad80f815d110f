"""Writing pictures into a run directory, and the words that say what they are.

``samples/`` holds sets of draws: for each an array, a picture and a JSON file that names them.
``gallery/`` holds the model's figures, listed in ``figures.json``, and a picture of test data. The
same run gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from genlab.contracts import DataSpec, Evidence, Figure
from genlab.gallery.completions import completion_grid
from genlab.gallery.drawing import About, Drawn, draw, image_pixels, sample_grid, thumbnail
from genlab.gallery.kept import SETTINGS, public
from genlab.runs import RunDirectory, atomic, train_command, write_json, write_text

SCHEMA = 1
REFERENCE, NEAREST, LIKELIHOODS = "data", "nearest", "likelihoods"
OWN = (REFERENCE, NEAREST, LIKELIHOODS)  # names that a model's figures cannot have


def about_run(record: Mapping[str, Any], seed: int) -> dict[str, str]:
    """The words kept in a picture's metadata. record: of the run; the hash stands for its settings."""
    return {
        "Software": "genlab",
        "run": str(record.get("fingerprint", "unknown")),
        "seed": str(seed),
        "command": train_command(public(record)),
    }


def write_samples(
    folder: Path,
    samples: Tensor,
    spec: DataSpec,
    *,
    seed: int,
    command: str,
    about: About | None = None,
    label: int | None = None,
    sampler: str = "",
    singles: bool = False,
) -> Path:
    """Write a set of draws (n, *shape) as seed-<seed>[-label-<label>][-<sampler>] and return its picture.

    sampler: the words that named another than the model's own.
    .npz holds the array x, .png the picture, .thumb.png its first few, .json the words; singles adds a
    folder with one PNG for each image, pixel for pixel.
    """
    name = f"seed-{seed}" if label is None else f"seed-{seed}-label-{label}"
    name += f"-{sanitised(sampler)}" if sampler else ""
    drawn = sample_grid(samples, spec, about)
    _write_arrays(folder / f"{name}.npz", x=samples)
    _write(folder / f"{name}.png", drawn.still)
    _write(folder / f"{name}.thumb.png", thumbnail(samples, spec, about))
    if singles and spec.is_image:
        for i, data in enumerate(image_pixels(samples, spec)):
            _write(folder / name / f"{i:03}.png", data)
    words = {"seed": seed, "label": label, "n": len(samples), "command": command}
    words |= {"sampler": sampler} if sampler else {}
    words |= {"grid": drawn.grid.words} if drawn.grid else {}
    _write_entry(folder, name, "samples", drawn, words)
    return folder / f"{name}.png"


def write_completions(
    folder: Path,
    draws: Tensor,
    evidence: Evidence,
    spec: DataSpec,
    *,
    seed: int,
    words: str,
    label: int | None = None,
    about: About | None = None,
) -> Path:
    """Write completions draws: (n, B, *shape) of evidence, in words as "observed:left", and of a label;
    return their picture.
    """
    kind, _, value = words.partition(":")
    value = Path(value).stem if kind == "observed" else value
    name = f"completions-{sanitised(f'{kind}-{value}')}-seed-{seed}"
    name += "" if label is None else f"-label-{label}"
    drawn = completion_grid(draws, evidence, spec, about)
    given = {k: v for k, v in vars(evidence).items() if isinstance(v, Tensor)}
    _write_arrays(folder / f"{name}.npz", x=draws, **{f"evidence {k}": v for k, v in given.items()})
    _write(folder / f"{name}.png", drawn.still)
    command = f"genlab sample RUN --n {len(draws)} --seed {seed} --complete FILE"
    command += f" --evidence {kind}:{value}"
    command += "" if label is None else f" --label {label}"
    entry = {
        "seed": seed,
        "label": label,
        "evidence": f"{kind}:{value}",
        "n": len(draws),
        "command": command,
    }
    _write_entry(folder, name, "completions", drawn, entry)
    return folder / f"{name}.png"


def write_reference(
    run: RunDirectory, rows: Tensor, spec: DataSpec, *, split: str = "test"
) -> None:
    """Write a picture of data (n, *shape), drawn as the samples are, to show beside them."""
    drawn = sample_grid(rows, spec)
    _write(run.figures / f"{REFERENCE}.png", drawn.still)
    words = {"schema": SCHEMA, "picture": f"{REFERENCE}.png", "split": split, "n": len(rows)}
    write_json(run.figures / f"{REFERENCE}.json", words | {"note": drawn.note})


def write_nearest(
    run: RunDirectory,
    found: Mapping[str, tuple[Tensor, Tensor]],
    spec: DataSpec,
    *,
    seed: int,
    split: str,
    training: int,
    looked_at: int,
) -> None:
    """Write the training data nearest to the samples that stand for the run, laid out like these. Samples
    that are no numbers have none: nothing is left of earlier ones.

    found: the nearest training data (n, *shape) and the Euclidean distances (n,) to them, of "samples" and
    of as many data "held out" of the split. seed: of the samples. training: how many training data there
    are, of which so many were looked_at.
    """
    if not all(distances.isfinite().all() for _, distances in found.values()):
        for suffix in (".json", ".png"):
            (run.figures / f"{NEAREST}{suffix}").unlink(missing_ok=True)
        return
    words: dict[str, Any] = {"seed": seed, "split": split, "support": str(spec.support)}
    words |= {"training": training, "looked_at": looked_at}
    words |= {name: distances.tolist() for name, (_, distances) in found.items()}
    words["different"] = _different({name: x.flatten(1) for name, (x, _) in found.items()})
    entry: dict[str, Any] = {"schema": SCHEMA, "picture": None}
    if spec.is_image:
        _write(run.figures / f"{NEAREST}.png", sample_grid(found["samples"][0], spec).still)
        entry["picture"] = f"{NEAREST}.png"
    write_json(run.figures / f"{NEAREST}.json", entry | words)


def _different(rows: Mapping[str, Tensor]) -> dict[str, int]:
    """How many rows of each set differ, "of" equally many: the more there are, the fewer of them do."""
    n = min(len(x) for x in rows.values())
    return {"of": n, **{name: len(x[:n].unique(dim=0)) for name, x in rows.items()}}


def write_likelihoods(
    run: RunDirectory, nats: Mapping[str, np.ndarray], about: Mapping[str, Any], *, seed: int
) -> None:
    """Write (n,) log-likelihoods of several sets of data, with what kind of number they are. seed: of the
    samples among them.
    """
    _write_arrays(
        run.figures / f"{LIKELIHOODS}.npz", **{k: v.astype(np.float32) for k, v in nats.items()}
    )
    entry = {"schema": SCHEMA, "array": f"{LIKELIHOODS}.npz", "sets": list(nats), "seed": seed}
    write_json(run.figures / f"{LIKELIHOODS}.json", entry | dict(about))


def write_settings(run: RunDirectory, settings: Mapping[str, Any]) -> None:
    """Write a configuration in which nothing is left to defaults."""
    words = yaml.safe_dump(settings, sort_keys=False, default_flow_style=None, width=100)
    write_text(run.figures / SETTINGS, words)


def write_figures(
    run: RunDirectory, figures: Iterable[Figure], *, seed: int, about: About | None = None
) -> list[dict[str, Any]]:
    """Draw every figure into gallery/ and list them in figures.json; returns the list.

    A figure that cannot be drawn is listed with the error instead of files, and so is what stops the
    model from yielding more of them.
    """
    entries: list[dict[str, Any]] = []
    for figure in _yielded(figures):
        if isinstance(figure, Exception):
            entries.append(
                _failure("figures", "figures", "The model stopped giving figures.", figure)
            )
            continue
        name = _free(sanitised(figure.name), {*OWN, *(entry["name"] for entry in entries)})
        entries.append(_write_figure(run.figures, name, figure, about))
    write_json(run.figures / "figures.json", {"schema": SCHEMA, "seed": seed, "figures": entries})
    return entries


def write_animations(
    folder: Path, figures: Iterable[Figure], *, seed: int, about: About | None = None
) -> list[Path]:
    """Draw the animated ones of these figures as seed-<seed>-<name>.gif, .apng, .webp; returns the GIFs."""
    written = []
    for figure in figures:
        if not figure.animated:
            continue
        name = f"seed-{seed}-{sanitised(figure.name)}"
        for picture in draw(figure, about).pictures:
            if picture.role in ("animation", "gif", "webp"):
                _write(folder / f"{name}{picture.suffix}", picture.data)
        written.append(folder / f"{name}.gif")
    return written


def sanitised(name: str) -> str:
    """A name that is a file name everywhere.

    >>> sanitised("../One step: <b>predictions</b>")
    'One-step-b-predictions-b'
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80].strip("-")
    return plain or "figure"


def _free(name: str, taken: set[str]) -> str:
    """name, or name-2, name-3, … where it is taken."""
    candidates = [name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))]
    return next(c for c in candidates if c.casefold() not in {t.casefold() for t in taken})


def _yielded(figures: Iterable[Figure]) -> Iterator[Figure | Exception]:
    """Each figure; at last, what the model raised instead of the next one."""
    try:
        yield from figures
    except Exception as error:
        yield error


def _write_figure(folder: Path, name: str, figure: Figure, about: About | None) -> dict[str, Any]:
    try:
        drawn = draw(figure, about)
    except Exception as error:
        return _failure(name, figure.name, figure.caption, error)
    files = {picture.role: f"{name}{picture.suffix}" for picture in drawn.pictures}
    for picture in drawn.pictures:
        _write(folder / f"{name}{picture.suffix}", picture.data)
    return {
        "name": name,
        "title": figure.name,
        "caption": figure.caption,
        "kind": type(figure.content).__name__.lower(),
        "animated": "animation" in files,
        "files": files,
        "note": drawn.note,
        **({"sheet": drawn.sheet.words} if drawn.sheet else {}),
    }


def _failure(name: str, title: str, caption: str, error: Exception) -> dict[str, Any]:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return {"name": name, "title": title, "caption": caption, "files": {}, "error": reason}


def _write_entry(
    folder: Path, name: str, kind: str, drawn: Drawn, words: Mapping[str, Any]
) -> None:
    entry = {"schema": SCHEMA, "kind": kind, "picture": f"{name}.png", "array": f"{name}.npz"}
    if kind == "samples":
        entry["thumbnail"] = f"{name}.thumb.png"
    write_json(folder / f"{name}.json", {**entry, **words, "note": drawn.note})


def _write_arrays(path: Path, **arrays: Tensor | np.ndarray) -> None:
    buffer = io.BytesIO()
    named = {
        key: np.asarray(torch.as_tensor(value).detach().cpu()) for key, value in arrays.items()
    }
    np.savez_compressed(buffer, **named)  # type: ignore[arg-type]
    _write(path, buffer.getvalue())


def _write(path: Path, data: bytes) -> None:
    with atomic(path) as file:
        file.write(data)
