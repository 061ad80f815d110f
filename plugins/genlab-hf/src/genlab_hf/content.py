"""What columns hold."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pyarrow as pa

from genlab.contracts import Support, UsageError
from genlab.spelling import suggest
from genlab_hf.table import Table


class Content(ABC):
    """What columns hold: the shape and support of a datum, and how rows become data."""

    columns: list[str]
    shape: tuple[int, ...]
    support: Support
    levels: int | None = None
    log_scale: float = 0.0
    variant: str

    @abstractmethod
    def read(self, table: pa.Table, rows: np.ndarray, split: str) -> np.ndarray:
        """(B, *shape) float32 of B rows of the columns. rows: (B,), where they stand in the split of the
        data set, for messages.

        Raises DataError for what is no datum.
        """


def require_column(table: Table, option: str, name: str) -> None:
    """Raise UsageError, with the nearest name, where the data set has no such column."""
    if name not in table.features:
        raise UsageError(
            f"data.{option}={name}: there is no such column{suggest(name, list(table.features))}"
        )
