"""A column of labels: whole numbers from 0, or named classes."""

from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa

from genlab.contracts import DataError
from genlab_hf.content import require_column
from genlab_hf.splits import Part


class Labels:
    """classes: those that the data set names, or one more than the largest number in any split."""

    def __init__(self, parts: dict[str, Part], column: str) -> None:
        train = parts["train"].table
        require_column(train, "label", column)
        feature, kind = train.features[column], train.features.arrow_schema.field(column).type
        if not pa.types.is_integer(kind):
            raise DataError(
                f"data.label={column}: the column holds {kind}, expected whole numbers from 0 or named "
                f"classes: make them so by Dataset.class_encode_column({column!r})"
            )
        self.column = column
        named = isinstance(feature, datasets.ClassLabel)
        self.classes = len(feature.names) if named else 1 + _largest(parts, column)

    def read(self, table: pa.Table, rows: np.ndarray, split: str) -> np.ndarray:
        """(B,) int64. Raises DataError for what is no label."""
        label = table.column(self.column).to_numpy()
        bad = ~((label >= 0) & (label < self.classes))  # what is empty came as NaN
        if bad.any():
            raise DataError(
                f"row {rows[bad][0]} of {split} has the label {label[bad][0]}: expected 0 … "
                f"{self.classes - 1}; leave out data.label, or such rows"
            )
        return label.astype(np.int64)


def _largest(parts: dict[str, Part], column: str) -> int:
    """Over all splits: a class that training data lack is a class all the same."""
    tables = (table for part in parts.values() for table, _ in part.blocks([column]))
    return max(int(np.nanmax(table.column(column).to_numpy(), initial=0)) for table in tables)
