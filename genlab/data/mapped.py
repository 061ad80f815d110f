"""Rows in memory-mapped files: those that are asked for are copied, and nothing else is kept."""

from __future__ import annotations

import math
import mmap
from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genlab.contracts import DataError
from genlab.data.shard_files import begin
from genlab.data.shard_index import Column, inside

OPEN = 256  # files of one column that a process has open; many systems allow a thousand in all


class MappedRows:
    """The rows of a column. ``rows[numbers]``: (B,) int64 → (B, *shape), a copy, in the column's type.

    Raises DataError where a file is missing, truncated, or not what the index says of it.
    """

    def __init__(self, folder: Path, column: Column, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(column.dtype)
        self._files = [inside(folder, shard.file) for shard in column.shards]
        pairs = zip(self._files, column.shards, strict=True)
        self._begins = np.array([begin(path, (s.rows, *shape), self.dtype) for path, s in pairs])
        self._starts = np.cumsum([0, *(shard.rows for shard in column.shards)])
        self._open: OrderedDict[np.int64, _Mapped] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """A copy, in another process or not, opens files of its own: a copied map would be its content."""
        return self.__dict__ | {"_open": OrderedDict()}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        if not len(numbers):
            return np.empty((0, *self.shape), self.dtype)
        if numbers.min() < 0 or numbers.max() >= len(self):
            raise IndexError(f"rows {numbers.min()} … {numbers.max()}, and there are {len(self)}")
        places = numbers.argsort(kind="stable")
        ordered = numbers[places]
        file = np.searchsorted(self._starts, ordered, side="right") - 1
        rows = ordered - self._starts[file]
        self._announce(file, rows)
        found = np.empty((len(numbers), *self.shape), self.dtype)
        for first, last in _runs(file[1:] != file[:-1]):
            found[places[first:last]] = self._map(file[first]).rows[rows[first:last]]
        return found

    def _announce(self, file: np.ndarray, rows: np.ndarray) -> None:
        """Ask for the pages of rows, in order, at once: one that is missing later is waited for alone."""
        size = math.prod(self.shape) * self.dtype.itemsize
        begin = self._begins[file] + rows * size
        end, begin = begin + size, begin // mmap.PAGESIZE * mmap.PAGESIZE
        for first, last in _runs((file[1:] != file[:-1]) | (begin[1:] > end[:-1])):
            content = self._map(file[first]).content
            content.madvise(mmap.MADV_WILLNEED, begin[first], end[last - 1] - begin[first])

    def _map(self, i: np.int64) -> _Mapped:
        """A file; what was not used for longest is closed to keep few open."""
        if i in self._open:
            self._open.move_to_end(i)
            return self._open[i]
        rows = int(self._starts[i + 1] - self._starts[i])
        mapped = _Mapped(self._files[i], self._begins[i], (rows, *self.shape), self.dtype)
        self._open[i] = mapped
        if len(self._open) > OPEN:
            self._open.popitem(last=False)
        return mapped


class _Mapped:
    """One open file. rows: (rows, *shape), of which a page is read when it is touched."""

    def __init__(self, path: Path, begin: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        try:
            with path.open("rb") as file:
                self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            numbers = np.frombuffer(self.content, dtype, math.prod(shape), begin)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read any more ({error}): get it anew") from error
        self.content.madvise(mmap.MADV_RANDOM)  # or each row would bring 128 KB around it
        self.rows = numbers.reshape(shape)


def _runs(cuts: np.ndarray) -> Iterator[tuple[int, int]]:
    """From where to where there is no cut. cuts: (n - 1,) bool, whether one follows each of n things."""
    return pairwise([0, *(np.flatnonzero(cuts) + 1).tolist(), len(cuts) + 1])
