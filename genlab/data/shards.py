"""Data beyond memory: rows in mapped files, shuffled without a list of them.

Files are opened when a row of theirs is first asked for, in each process for itself, and an epoch goes
through all rows in the order of a ``Permutation``. So memory depends on the batch, and not on how many
rows there are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.contracts import Batch, DataModule, DataSpec, Support
from genlab.data.mapped import MappedRows
from genlab.data.permutation import Permutation
from genlab.data.shard_index import Columns, read_index
from genlab.data.source import check_split


class ShardDataset:
    """One split. ``dataset[rows]`` is a Batch, read from its files in that moment."""

    def __init__(self, folder: Path, columns: Columns, spec: DataSpec) -> None:
        self._x = MappedRows(folder, columns.x, spec.shape)
        self._label = None if columns.label is None else MappedRows(folder, columns.label, ())
        self._top = spec.levels - 1 if spec.support is Support.LEVELS and spec.levels else 1

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, rows: Tensor) -> Batch:
        """rows: (B,) int64 → x: (B, *shape) float, label: (B,) int64 or None, index: rows."""
        x = self._x[rows.numpy()]
        x = torch.from_numpy(x if x.dtype.kind == "f" else x.astype(np.float32))
        if self._top > 1:
            x.div_(self._top)
        label = None
        if self._label is not None:
            label = torch.from_numpy(self._label[rows.numpy()].astype(np.int64))
        return Batch(x, label, rows)

    def order(self, generator: torch.Generator) -> Permutation:
        """All rows in random order, without a list of them."""
        return Permutation(len(self), generator)


class Shards(DataModule):
    """A folder that ``genlab data shard`` has written: the data of then, with the same spec.

    path: the folder. What they are is read at once; that the files are there and of the right size, when a
    split is first asked for; their checksums are compared by ``genlab data check`` alone.
    Raises DataError, in one line, for what is missing, truncated, or no folder of shards.
    """

    def __init__(self, path: str, batch_size: int = 100) -> None:
        super().__init__(batch_size)
        self._folder = Path(path).expanduser()
        self._index = read_index(self._folder)
        self._kept: dict[str, ShardDataset] = {}

    @property
    def spec(self) -> DataSpec:
        return self._index.spec

    def dataset(self, split: str) -> ShardDataset:
        check_split(split)
        if split not in self._kept:
            columns = self._index.splits[split]
            self._kept[split] = ShardDataset(self._folder, columns, self.spec)
        return self._kept[split]
