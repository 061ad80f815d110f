"""What a folder of shards says of itself: ``index.json``.

::

    {"schema": 1,
     "spec": {"name": …, "variant": …, "shape": [1, 28, 28], "support": "levels", "levels": 256, …},
     "made": {"genlab": "0.1.0", "words": ["data=npz", …]},
     "splits": {"train": {"x": {"dtype": "uint8", "shards": [{"file": …, "rows": …, "sha256": …}, …]},
                          "label": {"dtype": "uint8", "shards": […]} or null}, "val": …, "test": …}}

x holds level numbers on BINARY and LEVELS data, and the numbers themselves on REAL data. It is read as a
stranger wrote it: what is no such index, and a file that lies outside of the folder, is a DataError.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genlab.contracts import DataError, DataSpec, UsageError
from genlab.data.source import SPLITS
from genlab.trust import Refused, read_json, require_within

FILE = "index.json"
SCHEMA = 1


@dataclass(frozen=True)
class Shard:
    """One file of rows. file: relative to the folder; its end says of which kind it is."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Column:
    """One kind of number of all rows of a split, in files one after the other. dtype: NumPy's name."""

    dtype: str
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True)
class Columns:
    """What is stored of a split. label: None for unlabelled data."""

    x: Column
    label: Column | None


@dataclass(frozen=True)
class Index:
    """spec: as the data module that was written had it; splits: all three."""

    spec: DataSpec
    splits: dict[str, Columns]

    def as_json(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """made: by whom, for people."""
        splits = {split: dataclasses.asdict(columns) for split, columns in self.splits.items()}
        spec = dataclasses.asdict(self.spec)
        return {"schema": SCHEMA, "spec": spec, "made": dict(made), "splits": splits}


def number_types(spec: DataSpec) -> tuple[str, ...]:
    """The types in which x may be stored, NumPy's names."""
    if spec.levels is None:
        return ("float32", "float64")
    return (np.min_scalar_type(spec.levels - 1).name,)


def label_type(spec: DataSpec) -> str:
    return np.min_scalar_type(spec.classes - 1).name


def read_index(folder: Path) -> Index:
    """Raises DataError, in one line, for whatever is no index of this schema."""
    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{folder} holds no {FILE} that can be read: give a folder that genlab data shard has written"
        )
    try:
        content = read_json(path)
    except Refused as error:
        raise DataError(f"{error}; write the shards again") from None
    try:
        return _index(content, folder)
    except (_NotSo, UsageError) as error:
        raise DataError(f"{path}: {error}; write the shards again") from None


class _NotSo(Exception):
    """What is wrong with an index."""


def _index(content: Any, folder: Path) -> Index:
    schema = _get(content, "schema", int, "the index")
    if schema != SCHEMA:
        raise _NotSo(f"it has schema {schema}, and this version of genlab reads {SCHEMA}")
    spec = DataSpec.of(_get(content, "spec", dict, "the index"))
    splits = _get(content, "splits", dict, "the index")
    return Index(spec, {s: _columns(_get(splits, s, dict, "splits"), spec, s) for s in SPLITS})


def _columns(content: dict[str, Any], spec: DataSpec, split: str) -> Columns:
    x = _column(_get(content, "x", dict, split), number_types(spec), f"x of {split}")
    label = content.get("label")
    if (label is not None) != bool(spec.classes):
        raise _NotSo(
            f"spec has {spec.classes} classes, and {split} has {'' if label else 'no '}labels"
        )
    if label is None:
        return Columns(x, None)
    labels = _column(
        _get(content, "label", dict, split), (label_type(spec),), f"the labels of {split}"
    )
    if labels.rows != x.rows:
        raise _NotSo(f"{split} has {x.rows} rows and {labels.rows} labels")
    return Columns(x, labels)


def _column(content: dict[str, Any], types: tuple[str, ...], where: str) -> Column:
    dtype, found = _get(content, "dtype", str, where), _get(content, "shards", list, where)
    if dtype not in types:
        raise _NotSo(f"{where} has the dtype {dtype!r}, expected {' or '.join(types)}")
    if not found:
        raise _NotSo(f"{where} has no shards")
    return Column(dtype, tuple(_shard(shard, where) for shard in found))


def _shard(content: Any, where: str) -> Shard:
    where = f"a shard of {where}"
    file, digest = (_get(content, key, str, where) for key in ("file", "sha256"))
    rows = _get(content, "rows", int, where)
    if rows < 1:
        raise _NotSo(f"{where}, {file!r}, has {rows} rows")
    return Shard(file, rows, digest)


def _get(content: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {int: "a whole number", str: "a text", dict: "an object", list: "a list"}
        raise _NotSo(f"{where} needs {names.get(kind, 'a number')} {key!r}")  # type: ignore[arg-type]
    return value


def inside(folder: Path, file: str) -> Path:
    """The path of a shard. Raises DataError where it lies outside of the folder, be it by a link."""
    try:
        require_within(folder / file, folder)
    except Refused:
        raise DataError(
            f"{folder / FILE} names {file!r}, which is not inside of the folder: get the shards anew "
            "from whom you trust"
        ) from None
    return (folder / file).resolve()
