"""Rows of named columns that lie on disk or on the hub, and can be had by their numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, Features
from torch import Tensor


class Columns(ABC):
    """Some columns of all rows."""

    @abstractmethod
    def __getitem__(self, rows: np.ndarray | slice) -> pa.Table:
        """The rows of these numbers, (B,) int64 in any order, or all from one to another."""

    @abstractmethod
    def order(self, rows: np.ndarray | None, generator: torch.Generator) -> Tensor:
        """(N,) int64: in which order an epoch reads rows, (N,) in rising order, or all of them.

        Entries are places in rows. Each comes once; the order depends on the generator alone.
        """


class Table(ABC):
    """features: what its columns hold, by name."""

    features: Features

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def select(self, columns: list[str]) -> Columns: ...


class Mapped(Table):
    """A split of ``datasets`` in mapped Arrow files: any row is as near as any other."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self.features = dataset, dataset.features

    def __len__(self) -> int:
        return len(self._dataset)

    def select(self, columns: list[str]) -> Columns:
        return _MappedColumns(self._dataset.select_columns(columns).with_format("arrow"))


class _MappedColumns(Columns):
    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __getitem__(self, rows: np.ndarray | slice) -> pa.Table:
        found = self._dataset[rows]
        assert isinstance(found, pa.Table)
        return found

    def order(self, rows: np.ndarray | None, generator: torch.Generator) -> Tensor:
        return torch.randperm(
            len(self._dataset) if rows is None else len(rows), generator=generator
        )
