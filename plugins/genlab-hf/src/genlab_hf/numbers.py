"""Columns of numbers: a table whose rows are the data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import datasets
import numpy as np
import pyarrow as pa

from genlab.contracts import DataError, Support, UsageError
from genlab_hf.content import Content, require_column
from genlab_hf.splits import Part
from genlab_hf.table import Table

INDEX = "__index_level_"  # how pandas names the column that only counts rows


class Numbers(Content):
    """columns: None is every column of numbers but label. support: None follows from the numbers.

    Whole numbers that are all 0 or 1 are BINARY, others LEVELS, 256 of them unless levels says how many;
    columns of floats are REAL, standardised by the mean and deviation of the training rows. One pass over
    the columns finds that out, and every row that is read later is held to it.
    Raises UsageError for columns that are not there or hold no numbers, and for numbers that do not fit.
    """

    def __init__(
        self,
        parts: dict[str, Part],
        columns: Sequence[str] | None,
        label: str | None,
        support: Support | None,
        levels: int | None,
    ) -> None:
        if levels is not None and levels < 2:
            raise UsageError(f"data.levels={levels} must be at least 2")
        train = parts["train"].table
        self.columns = _numeric(train, label) if columns is None else list(columns)
        for column in self.columns:
            require_column(train, "columns", column)
        _require_different(self.columns, label)
        kinds = [train.features.arrow_schema.field(column).type for column in self.columns]
        _require_numbers(self.columns, kinds)
        self.shape = (len(self.columns),)
        whole = not any(pa.types.is_floating(kind) for kind in kinds)
        if support is None and not whole:
            support = Support.REAL
        if support is Support.REAL:
            _refuse_levels(levels, support)
            self.mean, self.sigma = _moments(parts["train"], self.columns)
            self.log_scale = float(np.log(self.sigma).sum())
            self.variant = "standardised"
        else:
            support, levels = _levels(parts, self.columns, support, levels)
            self.levels = levels
            self.variant = "fixed" if support is Support.BINARY else f"{levels} levels"
        self.support = support

    def read(self, table: pa.Table, rows: np.ndarray, split: str) -> np.ndarray:
        x = values(table, self.columns)
        fits = np.isfinite(x)
        if self.levels is not None:
            fits &= (x >= 0) & (x < self.levels) & (x == np.round(x))
        if not fits.all():
            row, column = np.argwhere(~fits)[0]
            wanted = "a number" if self.levels is None else f"a whole number 0 … {self.levels - 1}"
            raise DataError(
                f"row {rows[row]} of {split} has {x[row, column]:g} in column "
                f"{self.columns[column]!r}: expected {wanted}"
            )
        if self.levels is None:
            return ((x - self.mean) / self.sigma).astype(np.float32)
        return (x / (self.levels - 1)).astype(np.float32)


def values(table: pa.Table, columns: list[str]) -> np.ndarray:
    """(B, D) float64; what is empty is NaN."""
    x = np.empty((len(table), len(columns)))
    for d, column in enumerate(columns):
        x[:, d] = table.column(column).to_numpy()
    return x


def _numeric(table: Table, label: str | None) -> list[str]:
    """The columns of plain numbers, in the order of the data set."""
    found = [
        column
        for column, feature in table.features.items()
        if isinstance(feature, datasets.Value)
        and _is_number(feature.pa_type)
        and column != label
        and not column.startswith(INDEX)
    ]
    if not found:
        raise UsageError(
            f"no column of {', '.join(table.features)} holds numbers: give data.image=COLUMN for "
            "images"
        )
    return found


def _require_different(columns: list[str], label: str | None) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise UsageError(f"data.columns names {column!r} twice")
        if column == label:
            raise UsageError(
                f"data.columns names {column!r}, which is data.label: leave it out of one of them"
            )


def _require_numbers(columns: list[str], kinds: list[pa.DataType]) -> None:
    if not columns:
        raise UsageError("data.columns=[] must name at least one column")
    for column, kind in zip(columns, kinds, strict=True):
        if not _is_number(kind):
            raise UsageError(f"data.columns: column {column!r} holds {kind}, expected numbers")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _refuse_levels(levels: int | None, support: Support) -> None:
    if levels is not None:
        raise UsageError(f"data.levels={levels} belongs to levels, and the data are {support}")


def _levels(
    parts: dict[str, Part], columns: list[str], support: Support | None, levels: int | None
) -> tuple[Support, int]:
    """The support and number of levels of whole numbers, from the least and largest of all splits."""
    low, high = _range(parts, columns)
    if support is None:
        support = Support.BINARY if high <= 1 and (levels or 2) == 2 else Support.LEVELS
    if support is Support.BINARY:
        _refuse_levels(None if levels == 2 else levels, support)
        levels = 2
    levels = levels or 256
    if low < 0 or high > levels - 1:
        raise DataError(
            f"the columns hold numbers {low:g} … {high:g}, expected 0 … {levels - 1}: give "
            "data.levels=N for more levels, or data.support=real to standardise them"
        )
    return support, levels


def _range(parts: dict[str, Part], columns: list[str]) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for part in parts.values():
        for table, _ in part.blocks(columns):
            x = values(table, columns)
            low = float(np.nanmin(x, initial=low))
            high = float(np.nanmax(x, initial=high))
    return low, high


def _moments(train: Part, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(D,) float64 mean and σ of the training rows, a block at a time.

    Source: T. Chan, G. Golub, R. LeVeque, Updating formulae and a pairwise algorithm for computing sample
    variances, Stanford STAN-CS-79-773, 1979.
    """
    n, mean, squares = 0, np.zeros(len(columns)), np.zeros(len(columns))
    low, high = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    for table, _ in train.blocks(columns):
        x = values(table, columns)
        with np.errstate(invalid="ignore"):  # of what is infinite, and refused below
            total, ahead = n + len(x), x.mean(0) - mean
            squares += ((x - x.mean(0)) ** 2).sum(0) + ahead**2 * n * len(x) / total
            mean += ahead * len(x) / total
        n = total
        low, high = np.minimum(low, x.min(0)), np.maximum(high, x.max(0))
    sigma = np.sqrt(squares / n)
    for d, column in enumerate(columns):
        constant = low[d] == high[d]  # rounding gives it a deviation that is not 0
        if constant or not np.isfinite(sigma[d]):
            fault = "is constant" if constant else "has empty or infinite entries"
            raise DataError(
                f"column {column!r} {fault} over the training rows and cannot be standardised: leave "
                "it out of data.columns, or those rows out of the data"
            )
    return mean, sigma
