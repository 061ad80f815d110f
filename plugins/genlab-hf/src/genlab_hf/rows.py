"""A split, read batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import Batch
from genlab_hf.content import Content
from genlab_hf.labels import Labels
from genlab_hf.splits import Part


class Rows:
    """One split of the data module. ``dataset[rows]`` is a Batch, read from disk in that moment."""

    def __init__(self, part: Part, split: str, content: Content, labels: Labels | None) -> None:
        self.split, self.content, self.labels = split, content, labels
        self._name = part.name
        columns = content.columns + ([labels.column] if labels else [])
        self._columns = part.table.select(columns)
        self._rows, self._length = part.rows, len(part)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: Tensor) -> Batch:
        """rows: (B,) int64 → x: (B, *shape) float32, label: (B,) int64 or None, index: rows."""
        at = rows.numpy() if self._rows is None else self._rows[rows.numpy()]
        table = self._columns[at]
        x = torch.from_numpy(self.content.read(table, at, self._name))
        label = self.labels and torch.from_numpy(self.labels.read(table, at, self._name))
        return Batch(x, label, rows)

    def order(self, generator: torch.Generator) -> Tensor:
        """(N,) int64: the order of an epoch, in which rows that are read together stand together."""
        return self._columns.order(self._rows, generator)
