"""Folders of shards for the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genlab.contracts import Batch, DataModule, DataSpec
from genlab.data import write_shards


class InMemory(DataModule):
    """train, val and test of given numbers, and labels where the spec has classes."""

    def __init__(self, spec: DataSpec, x: torch.Tensor, label: torch.Tensor | None = None) -> None:
        super().__init__()
        self._spec, self.x, self.label = spec, x, label

    @property
    def spec(self) -> DataSpec:
        return self._spec

    def dataset(self, split: str) -> _Rows:
        return _Rows(self.x.roll(("train", "val", "test").index(split), 0), self.label)


class _Rows:
    def __init__(self, x: torch.Tensor, label: torch.Tensor | None) -> None:
        self.x, self.label = x, label

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        return Batch(self.x[rows], None if self.label is None else self.label[rows], rows)


def written(data: DataModule, folder: Path, rows: int = 70, form: str = "npy") -> str:
    """The path of a folder of these data, ``rows`` in a file."""
    write_shards(data, folder, rows, form=form)
    return str(folder)


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit the index."""
    path = folder / "index.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def resave(path: Path, array: np.ndarray) -> None:
    """Put another array in the place of a shard."""
    assert path.is_file()
    np.save(path, array)
