"""Data modules small enough for any test: 64 rows of four bits, and rows that a test gives."""

from __future__ import annotations

import torch

from genlab.contracts import Batch, DataModule, DataSpec, Support


class _Rows:
    def __init__(self, n: int, seed: int) -> None:
        self.x = torch.randint(0, 2, (n, 4), generator=torch.Generator().manual_seed(seed)).float()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        return Batch(self.x[rows], index=rows)


class Bits(DataModule):
    """train, val and test of independent bits."""

    def __init__(self, batch_size: int = 8) -> None:
        super().__init__(batch_size)

    @property
    def spec(self) -> DataSpec:
        return DataSpec("bits", "made up", (4,), Support.BINARY)

    def dataset(self, split: str) -> _Rows:
        return _Rows(64, {"train": 0, "val": 1, "test": 2}[split])


class Fixed(DataModule):
    """These rows, x: (N, D), in every split."""

    def __init__(self, spec: DataSpec, x: torch.Tensor, batch_size: int) -> None:
        super().__init__(batch_size)
        self._spec, self.x = spec, x

    @property
    def spec(self) -> DataSpec:
        return self._spec

    def dataset(self, split: str) -> Fixed:
        return self

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        return Batch(self.x[rows], index=rows)
