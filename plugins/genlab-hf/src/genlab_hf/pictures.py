"""A column of images, in 256 levels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from genlab.contracts import DataError, Support, UsageError
from genlab.data.pictures import pixels
from genlab_hf.content import Content, require_column
from genlab_hf.splits import Part


class Pictures(Content):
    """size: to which each is scaled and cut about its centre; None takes them as large as the first is.

    Raises UsageError for a column that is not there or holds no images, DataError for a first image that
    cannot be read.
    """

    support = Support.LEVELS
    levels = 256

    def __init__(self, parts: dict[str, Part], column: str, size: int | None, colour: bool) -> None:
        train = parts["train"]
        require_column(train.table, "image", column)
        if not isinstance(train.table.features[column], datasets.Image):
            images = [c for c, f in train.table.features.items() if isinstance(f, datasets.Image)]
            raise UsageError(
                f"data.image={column}: the column holds no images; "
                + (f"those of {', '.join(images)} do" if images else "no column does")
            )
        if size is not None and size < 1:
            raise UsageError(f"data.size={size} must be at least 1")
        self.columns, self.size, self.colour = [column], size, colour
        first = 0 if train.rows is None else int(train.rows[0])
        table = train.table.select(self.columns)[first : first + 1]
        cell = table.column(column)[0].as_py()
        self.shape = self._pixels(cell, first, train.name).shape
        mode = "rgb" if colour else "grey"
        self.variant = f"{self.shape[1]}×{self.shape[2]} {mode}, 256 levels"

    def read(self, table: pa.Table, rows: np.ndarray, split: str) -> np.ndarray:
        x = np.empty((len(rows), *self.shape), dtype=np.float32)
        for i, cell in enumerate(table.column(self.columns[0]).to_pylist()):
            image = self._pixels(cell, rows[i], split)
            if image.shape != self.shape:
                height, width = image.shape[1:]
                raise DataError(
                    f"the image in row {rows[i]} of {split} is {height}×{width} and the first one "
                    f"{self.shape[1]}×{self.shape[2]}: give data.size=N to cut all to N × N"
                )
            x[i] = image
        x /= 255
        return x

    def _pixels(self, cell: dict[str, Any] | None, row: int, split: str) -> np.ndarray:
        """(C, H, W) uint8 of a cell, which holds the bytes of a file or its path."""
        try:
            if cell is None:
                raise DataError("it is empty")
            content = cell["bytes"]
            file = Path(cell["path"]) if content is None else io.BytesIO(content)
            return pixels(file, self.size, self.colour)
        except DataError as reason:
            raise DataError(
                f"the image in row {row} of {split} cannot be read: {reason}"
            ) from reason
