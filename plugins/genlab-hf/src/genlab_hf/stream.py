"""Parquet files as a table, read where they lie: nothing is fetched as a whole, converted or written.

Parquet is written in row groups, and the end of a file says how many rows each has: row n is known without
reading. A group is read as a whole, so that a permutation of all rows would read a group for each of them.
An epoch goes through the groups in random order, as many together as fit into memory, and takes the rows of
those in random order. Groups much smaller than that memory are read several at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import torch
from datasets import Features
from torch import Tensor

from genlab_hf.groups import FILES, RowGroups, groups_of, runs_of
from genlab_hf.table import Columns, Table

SHARE = 32  # of the memory, that groups which are read at once may take


class Stream(Table):
    """files: local paths or URLs, all with the columns of features. memory: shared with other streams."""

    def __init__(self, files: Sequence[str], features: Features, memory: RowGroups) -> None:
        self.features, self.memory = features, memory
        with ThreadPoolExecutor(FILES) as threads:  # most of it is waiting for the hub
            self.groups = [group for file in threads.map(groups_of, files) for group in file]

    def __len__(self) -> int:
        return sum(group.rows for group in self.groups)

    def select(self, columns: list[str]) -> Columns:
        return _StreamColumns(self, Features({c: self.features[c] for c in columns}).arrow_schema)


class _StreamColumns(Columns):
    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._schema, self._memory = schema, stream.memory
        self._runs = runs_of(stream.groups, schema, stream.memory.most // SHARE)
        self._starts = np.cumsum([0, *(run.rows for run in self._runs)])

    def __getitem__(self, rows: np.ndarray | slice) -> pa.Table:
        """Those in memory first: what is read may take their place."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self._starts[-1]))
        pieces, places = [self._schema.empty_table()], []
        number = np.searchsorted(self._starts, rows, side="right") - 1
        for i in sorted(np.unique(number).tolist(), key=self._missing):
            mine = np.flatnonzero(number == i)
            table = self._memory.table(self._runs[i], self._schema)
            pieces.append(table.take(pa.array(rows[mine] - self._starts[i])))
            places.append(mine)
        back = np.argsort(np.concatenate(places)) if places else np.zeros(0, dtype=np.int64)
        return pa.concat_tables(pieces).take(pa.array(back))

    def _missing(self, i: int) -> bool:
        return not self._memory.holds(self._runs[i], self._schema)

    def order(self, rows: np.ndarray | None, generator: torch.Generator) -> Tensor:
        places = self._starts if rows is None else np.searchsorted(rows, self._starts)
        found = [torch.zeros(0, dtype=torch.int64)]
        for window in self._windows(torch.randperm(len(self._runs), generator=generator).tolist()):
            mine = torch.cat([torch.arange(places[i], places[i + 1]) for i in window])
            found.append(mine[torch.randperm(len(mine), generator=generator)])
        return torch.cat(found)

    def _windows(self, order: list[int]) -> Iterator[list[int]]:
        """As many runs at a time as fit into memory, and one at least."""
        window, held = [], 0
        for i in order:
            if window and held + self._runs[i].size > self._memory.most:
                yield window
                window, held = [], 0
            window.append(i)
            held += self._runs[i].size
        yield window
