"""Whether two runs are the same, and whether the files of one are whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image, ImageSequence

from genlab.errors import GenlabError
from genlab.training.checkpoint_files import load_checkpoint
from genlab.training.throughput import PREFIXES

STATE = ("state_dict", "current_model_state", "optimizer_states", "rank_state")
OWN = ("seconds", "created", "checkpoint")  # of a score: when, and from which bytes


def differences(first: Path, second: Path) -> Iterator[str]:
    """Of weights, optimizers, averages and the state of every rank in every stage; of curves, scores,
    samples and figures. What a run says of its own course differs."""
    names = [{str(p.relative_to(run)) for p in _results(run)} for run in (first, second)]
    yield from (f"{name}: only in one of them" for name in names[0] ^ names[1])
    for name in sorted(names[0] & names[1]):
        if not same(_content(first / name), _content(second / name)):
            yield f"{name}: not the same"


def broken(run: Path) -> Iterator[str]:
    """Files that are not whole, but for temporary ones, which the next session sweeps away."""
    for path in run.rglob("*"):
        if path.is_dir() or path.name.endswith(".tmp"):
            continue
        try:
            _content(path)
        except (OSError, ValueError, SyntaxError, BadZipFile, GenlabError) as error:
            yield f"{path.relative_to(run)}: {error}"


def curves(run: Path) -> list[list[str]]:
    """What every session finds again: all but how fast it was, and how much memory it took."""
    return _rows(run / "metrics.csv")


def same(ours: Any, theirs: Any) -> bool:
    """Bit for bit, down to the tensors."""
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


def _results(run: Path) -> Iterator[Path]:
    """The files whose content follows from the configuration."""
    for path in run.rglob("*"):
        own = path.name in ("run.json", "config.yaml", ".lock", "previous.ckpt")
        if path.is_file() and not own and path.suffix not in (".sha256", ".log"):
            yield path


def _content(path: Path) -> Any:
    """What a file says, whatever the time it was written. Raises where it is not whole."""
    if path.suffix == ".ckpt":
        whole = load_checkpoint(path)
        return {key: whole.get(key) for key in STATE}
    if path.suffix == ".npz":
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {
                name: torch.from_numpy(arrays[name].view(_bits(arrays[name]))) for name in arrays
            }
    if path.suffix == ".json":
        said = json.loads(path.read_text())
        return {k: v for k, v in said.items() if k not in OWN} if isinstance(said, dict) else said
    if path.suffix == ".csv":
        return _rows(path)
    if path.suffix in (".png", ".apng", ".gif"):
        with Image.open(path) as picture:  # its text names the run
            return [(f.size, f.mode, f.tobytes()) for f in ImageSequence.Iterator(picture)]
    return path.read_bytes()


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file, strict=True))
    if rows and any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("rows of different lengths")
    return [row for row in rows if not row[3].startswith(PREFIXES)]


def _bits(array: np.ndarray) -> np.dtype:
    """Integers of the same width: a NaN is the same as itself."""
    return np.dtype(f"u{array.itemsize}") if array.dtype.kind == "f" else array.dtype
