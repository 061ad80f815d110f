"""A column of rows as files, one after the other, hashed as they are written."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from genlab.contracts import GenlabError
from genlab.data.shard_files import head
from genlab.data.shard_index import Column, Shard

SHARD = 2**29  # bytes of a file, where no number of rows is given


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses inside, such as room on the disk, is a GenlabError of one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise GenlabError(f"{path} cannot be written ({reason}): nothing is kept") from error


class ColumnWriter:
    """Blocks of rows are appended to it, n rows in all.

    name: what its files are called, with a number after it. rows: in a file, by default 512 MB of them.
    form: one of shard_files.FORMATS.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        n: int,
        rows: int | None = None,
        form: str = "npy",
    ) -> None:
        self.folder, self.name, self.shape, self.dtype = folder, name, shape, np.dtype(dtype)
        self.form = form
        self.rows = rows or max(1, SHARD // (self.dtype.itemsize * math.prod(shape)))
        self.left = n
        self.shards: list[Shard] = []
        self._file: _File | None = None

    def append(self, x: np.ndarray) -> None:
        """x: (B, *shape) in any type that holds the same numbers."""
        x = x.astype(self.dtype)
        while len(x):
            if self._file is None:
                self._file = self._begun()
            x = self._file.take(x)
            if self._file.full:
                self.shards.append(self._file.close())
                self._file = None

    def __enter__(self) -> ColumnWriter:
        return self

    def __exit__(self, *_: object) -> None:
        """Close a file that was begun, and whose rest will not come."""
        if self._file is not None:
            self._file.abandon()

    @property
    def column(self) -> Column:
        """What was written, once all n rows were."""
        assert self._file is None
        assert self.left == 0
        return Column(self.dtype.name, tuple(self.shards))

    def _begun(self) -> _File:
        rows = min(self.rows, self.left)
        self.left -= rows
        path = self.folder / f"{self.name}-{len(self.shards):05}.{self.form}"
        tensor = self.name.rpartition("-")[2]
        return _File(path, rows, head(self.form, tensor, (rows, *self.shape), self.dtype))


class _File:
    """One file of so many rows, hashed as it is written. begin: what it begins with."""

    def __init__(self, path: Path, rows: int, begin: bytes) -> None:
        self.path, self.rows, self.left = path, rows, rows
        self._digest = hashlib.sha256()
        with writing(path):
            self._file = path.open("wb")
        self._put(begin)

    @property
    def full(self) -> bool:
        return self.left == 0

    def take(self, x: np.ndarray) -> np.ndarray:
        """Write what there is room for; the rest."""
        own, rest = x[: self.left], x[self.left :]
        self._put(own.tobytes())
        self.left -= len(own)
        return rest

    def close(self) -> Shard:
        with writing(self.path), self._file as file:
            file.flush()
            os.fsync(file.fileno())
        return Shard(self.path.name, self.rows, self._digest.hexdigest())

    def abandon(self) -> None:
        with suppress(OSError):  # what lies in the buffer may not fit on the disk
            self._file.close()

    def _put(self, content: bytes) -> None:
        self._digest.update(content)
        with writing(self.path):
            self._file.write(content)
