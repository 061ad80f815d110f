"""Row groups of parquet files: the pieces that are read as a whole, and those that are in memory."""

from __future__ import annotations

from collections import OrderedDict
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

    def size(self, schema: pa.Schema) -> int:
        """Bytes of the columns of a schema in memory, about."""
        return sum(self.rows * _width(f.type) // 8 or self.sizes.get(f.name, 0) for f in schema)


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
    """Reads row groups and keeps those that were used last: most bytes of them, and one at least.

    A copy, or what another process gets, has nothing in memory and no file open.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._tables: OrderedDict[tuple[Any, ...], tuple[pa.Table, int]] = OrderedDict()
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return RowGroups, (self.most,)

    def holds(self, group: Group, schema: pa.Schema) -> bool:
        return _key(group, schema) in self._tables

    def table(self, group: Group, schema: pa.Schema) -> pa.Table:
        """The columns of a schema, from memory or read. Raises DataError for what cannot be read."""
        key = _key(group, schema)
        if key not in self._tables:
            size = group.size(schema)
            while self._tables and size + sum(s for _, s in self._tables.values()) > self.most:
                self._tables.popitem(last=False)
            self._tables[key] = self._read(group, schema), size
        self._tables.move_to_end(key)
        return self._tables[key][0]

    def _read(self, group: Group, schema: pa.Schema) -> pa.Table:
        try:
            table = self._open(group.file).read_row_group(group.number, columns=schema.names)
            return table_cast(table, schema)
        except Exception as error:  # whatever the file system of the file raises
            self._files.pop(group.file, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"row group {group.number} of {group.file} cannot be read: {reason}"
            ) from error

    def _open(self, file: str) -> pq.ParquetFile:
        if file not in self._files:
            if len(self._files) == FILES:
                self._files.popitem(last=False)[1].close()
            self._files[file] = open_parquet(file)
        self._files.move_to_end(file)
        return self._files[file]


def _key(group: Group, schema: pa.Schema) -> tuple[Any, ...]:
    return group.file, group.number, *schema.names
