"""Row groups of parquet files: the pieces that are read as a whole, and those that are in memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.table import table_cast

from genlab.contracts import DataError

FILES = 8  # that are open at a time


@dataclass(frozen=True)
class Group:
    """Row group ``number`` of a file. sizes: bytes of its columns of varying width, uncompressed."""

    file: str
    number: int
    rows: int
    sizes: dict[str, int]


@dataclass(frozen=True)
class Run:
    """Row groups that follow one another in a file and are read at once. size: in memory, about."""

    file: str
    numbers: tuple[int, ...]
    rows: int
    size: int


def runs_of(groups: Iterable[Group], schema: pa.Schema, most: int) -> list[Run]:
    """All groups in order, as many at once as take most bytes for the columns of a schema."""
    width = sum(_width(field.type) for field in schema)
    varying = [field.name for field in schema if not _width(field.type)]
    found: list[Run] = []
    for group in groups:
        size = group.rows * width // 8 + sum(group.sizes.get(name, 0) for name in varying)
        run = Run(group.file, (group.number,), group.rows, size)
        last = found[-1] if found else run
        if found and last.file == run.file and last.size + run.size <= most:
            numbers = last.numbers + run.numbers
            found[-1] = Run(run.file, numbers, last.rows + run.rows, last.size + run.size)
        else:
            found.append(run)
    return found


def _width(kind: pa.DataType) -> int:
    """Bits of a number; 0 of what varies."""
    try:
        return kind.bit_width
    except ValueError:
        return 0


def open_parquet(file: str) -> pq.ParquetFile:
    """A local path, or a URL of any file system that fsspec knows (hf://, s3://, …)."""
    system, path = fsspec.url_to_fs(file)
    return pq.ParquetFile(path, filesystem=system)


def groups_of(file: str) -> list[Group]:
    """Those of a file, in order. Only the end of the file is read, where parquet keeps its index."""
    with open_parquet(file) as parquet:
        index, schema = parquet.metadata, parquet.schema_arrow
        varying = [field.name for field in schema if not _width(field.type)]
        leaves = [index.schema.column(i).path for i in range(index.num_columns)]
        of = {
            name: [i for i, path in enumerate(leaves) if f"{path}.".startswith(f"{name}.")]
            for name in varying
        }
        found = []
        for number in range(index.num_row_groups):
            group = index.row_group(number)
            sizes = {
                name: sum(group.column(i).total_uncompressed_size for i in columns)
                for name, columns in of.items()
            }
            found.append(Group(file, number, group.num_rows, sizes))
        return found


class RowGroups:
    """Reads row groups and keeps those that were used last: most bytes of them, and one run at least.

    A copy, or what another process gets, has nothing in memory and no file open; a fork opens files of its
    own, as it would share its place in those that were open.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._tables: OrderedDict[tuple[Any, ...], tuple[pa.Table, int]] = OrderedDict()
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return RowGroups, (self.most,)

    def holds(self, run: Run, schema: pa.Schema) -> bool:
        return _key(run, schema) in self._tables

    def table(self, run: Run, schema: pa.Schema) -> pa.Table:
        """The columns of a schema, from memory or read. Raises DataError for what cannot be read."""
        key = _key(run, schema)
        if key not in self._tables:
            while self._tables and self.held + run.size > self.most:
                self._tables.popitem(last=False)
            self._tables[key] = self._read(run, schema), run.size
        self._tables.move_to_end(key)
        return self._tables[key][0]

    @property
    def held(self) -> int:
        """Bytes that are in memory."""
        return sum(size for _, size in self._tables.values())

    def _read(self, run: Run, schema: pa.Schema) -> pa.Table:
        try:
            table = self._open(run.file).read_row_groups(list(run.numbers), columns=schema.names)
            return table_cast(table, schema).combine_chunks()
        except Exception as error:  # whatever the file system of the file raises
            self._files.pop(run.file, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"row group {run.numbers[0]} of {run.file} cannot be read: {reason}"
            ) from error

    def _open(self, file: str) -> pq.ParquetFile:
        if self._process != os.getpid():
            self._files, self._process = OrderedDict(), os.getpid()
        if file not in self._files:
            if len(self._files) == FILES:
                self._files.popitem(last=False)[1].close()
            self._files[file] = open_parquet(file)
        self._files.move_to_end(file)
        return self._files[file]


def _key(run: Run, schema: pa.Schema) -> tuple[Any, ...]:
    return run.file, run.numbers, *schema.names
