"""A person's own data: arrays in an .npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genlab.contracts import DataError
from genlab.data.readers import read_npz, unpack
from genlab.data.source import SPLITS, Arrays, Source
from genlab.randomness import key

NAMES = {"train": ("train", "x"), "val": ("val", "valid"), "test": ("test",)}
HELD_OUT = 0.1  # of the training rows, for a validation or test split that the file does not have


class OwnArrays(Source):
    """The arrays ``train`` (or ``x``), ``val`` (or ``valid``) and ``test`` of an .npz file.

    Whole numbers 0 … 255 or floats, (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3
    channels; or rows packed by np.packbits(x, axis=1) beside the scalar ``n_vars``. Labels, where there
    are any, are ``train_labels`` (or ``labels``), ``val_labels``, ``test_labels``: whole numbers from 0.
    A validation or test split that is missing is a tenth of the training rows, drawn from ``seed``.
    levels: how many values an entry can take; by default 2 where all are 0 or 1, else 256.
    """

    def __init__(self, path: str, levels: int | None = None, seed: int = 0) -> None:
        file = Path(path).expanduser()
        if not file.is_file():
            raise DataError(f"data.path={path} does not exist: give the path of an .npz file")
        self.path = file
        self._splits = _held_out(_read_splits(file), seed)
        self._check_alike()
        x = self._splits["train"].x
        super().__init__(file.stem, x.shape[1:], self._levels(levels), self._classes())

    def read(self, split: str) -> Arrays:
        return self._splits[split]

    def _check_alike(self) -> None:
        kinds = {(arrays.x.dtype, arrays.x.shape[1:]) for arrays in self._splits.values()}
        labelled = {arrays.label is None for arrays in self._splits.values()}
        if len(kinds) > 1:
            shown = ", ".join(f"{name} {a.x.dtype} {a.x.shape}" for name, a in self._splits.items())
            raise DataError(f"the splits of {self.path} differ in type or shape: {shown}")
        if len(labelled) > 1:
            raise DataError(f"{self.path} has labels for some splits only: give all or none")

    def _levels(self, given: int | None) -> int | None:
        x = [arrays.x for arrays in self._splits.values()]
        if x[0].dtype != np.uint8:
            if given is not None:
                raise DataError(f"{self.path} holds real numbers: leave out levels={given}")
            return None
        top = max(int(part.max()) for part in x)
        levels = given or (2 if top <= 1 else 256)
        if not max(2, top + 1) <= levels <= 256:
            raise DataError(
                f"levels={levels} does not fit {self.path}, whose largest number is {top}: "
                f"give data.levels={max(2, top + 1)} … 256"
            )
        return levels

    def _classes(self) -> int:
        labels = [arrays.label for arrays in self._splits.values() if arrays.label is not None]
        return 1 + max(int(label.max()) for label in labels) if labels else 0


def _read_splits(path: Path) -> dict[str, Arrays]:
    """The splits that the file has; "train" is always one of them."""
    arrays = read_npz(path)
    splits: dict[str, Arrays] = {}
    for split in SPLITS:
        name = next((name for name in NAMES[split] if name in arrays), None)
        if name is not None:
            x = unpack(arrays, name, path) if "n_vars" in arrays else arrays[name]
            label = arrays.get("labels" if name == "x" else f"{name}_labels")
            where = f"array {name!r} of {path}"
            splits[split] = Arrays(_data(x, where), _labels(label, len(x), where))
    if "train" not in splits:
        found = ", ".join(arrays) or "nothing"
        raise DataError(f"{path} holds {found}: it needs an array named train or x")
    return splits


def _data(x: np.ndarray, where: str) -> np.ndarray:
    """(N, D) or (N, C, H, W), uint8 or float32."""
    x = _images_first(_numbers(x, where))
    if x.ndim not in (2, 4) or 0 in x.shape or (x.ndim == 4 and x.shape[1] not in (1, 3)):
        raise DataError(
            f"{where} has shape {x.shape}: expected (N, D), (N, H, W), (N, C, H, W) or (N, H, W, C) "
            "with 1 or 3 channels"
        )
    return x


def _images_first(x: np.ndarray) -> np.ndarray:
    """(N, H, W) and (N, H, W, C) as (N, C, H, W); other shapes as they are."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        return x.transpose(0, 3, 1, 2)
    return x


def _numbers(x: np.ndarray, where: str) -> np.ndarray:
    """x as uint8 or float32."""
    if x.dtype.kind == "f":
        bad = int((~np.isfinite(x)).sum())
        if bad:
            raise DataError(
                f"{where} has {bad} entries that are NaN or infinite: remove their rows"
            )
        return x.astype(np.float32)
    if x.dtype.kind not in "bui":
        raise DataError(f"{where} holds {x.dtype}: expected whole numbers 0 … 255 or floats")
    if x.size and (x.min() < 0 or x.max() > 255):
        raise DataError(
            f"{where} holds whole numbers {x.min()} … {x.max()}: expected 0 … 255, or save it as float"
        )
    return x.astype(np.uint8)


def _labels(label: np.ndarray | None, rows: int, where: str) -> np.ndarray | None:
    if label is None:
        return None
    if label.dtype.kind not in "ui" or label.shape != (rows,) or label.min() < 0:
        raise DataError(
            f"the labels of {where} are {label.dtype} {label.shape}: expected {rows} whole numbers from 0"
        )
    return label.astype(np.int64)


def _held_out(splits: dict[str, Arrays], seed: int) -> dict[str, Arrays]:
    """All three splits: those that are missing are taken from the training rows, without overlap."""
    train = splits["train"]
    order = np.random.Generator(np.random.PCG64(key("held out", seed))).permutation(len(train.x))
    share = int(len(order) * HELD_OUT)
    parts = dict(splits)
    for split in ("val", "test"):
        if split not in splits:
            taken, order = np.sort(order[:share]), order[share:]
            parts[split] = _rows(train, taken)
    if share == 0 and len(parts) > len(splits):
        raise DataError(
            f"{len(train.x)} rows are too few to hold out a tenth: give val and test too"
        )
    parts["train"] = _rows(train, np.sort(order))
    return {split: parts[split] for split in SPLITS}


def _rows(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return Arrays(arrays.x[rows], None if arrays.label is None else arrays.label[rows])
