"""A model that knows nothing but the data it was given, and those data."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import Batch, DataModule, DataSpec, GenerativeModel, Rows, Support, UsageError


class Given(DataModule):
    """Splits that are given as tensors; one that is missing is an error, as in any data module."""

    def __init__(self, spec: DataSpec, **splits: Tensor) -> None:
        super().__init__()
        self._spec, self.splits = spec, splits

    @property
    def spec(self) -> DataSpec:
        return self._spec

    def dataset(self, split: str) -> Rows:
        return Rows(self.splits[split])


class Memory(GenerativeModel):
    """Repeats the rows that it was given, each as often as any other."""

    def __init__(self, spec: DataSpec, x: Tensor) -> None:
        super().__init__(spec)
        self.register_buffer("x", x)
        self.idle = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> Tensor:
        return self.idle.square()

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        if label is not None:
            raise UsageError("Memory knows no labels")
        device = self.x.device
        return self.x[torch.randint(len(self.x), (n,), generator=generator, device=device)]


def bits(size: int) -> DataSpec:
    return DataSpec("bits", "made up", (size,), Support.BINARY)


def greys(size: int, levels: int) -> DataSpec:
    return DataSpec("greys", f"{levels} levels", (size,), Support.LEVELS, levels=levels)


def reals(size: int) -> DataSpec:
    return DataSpec("reals", "standardised", (size,), Support.REAL)


def random(seed: int, n: int, spec: DataSpec) -> Tensor:
    """(n, *shape) data of a spec, every value as likely as any other; standard normal on REAL."""
    generator = torch.Generator().manual_seed(seed)
    if spec.levels is None:
        return torch.randn(n, *spec.shape, generator=generator)
    levels = torch.randint(spec.levels, (n, *spec.shape), generator=generator)
    return levels.float() / (spec.levels - 1)
