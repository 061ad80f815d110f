"""A split, read batch by batch from mapped files."""

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
        columns = content.columns + ([labels.column] if labels else [])
        self._dataset = part.tables(columns)
        self._rows, self._length = part.rows, len(part)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: Tensor) -> Batch:
        """rows: (B,) int64 → x: (B, *shape) float32, label: (B,) int64 or None, index: rows."""
        at = rows.numpy() if self._rows is None else self._rows[rows.numpy()]
        table = self._dataset[at]
        x = torch.from_numpy(self.content.read(table, at, self.split))
        label = self.labels and torch.from_numpy(self.labels.read(table, at, self.split))
        return Batch(x, label, rows)
