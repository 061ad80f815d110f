"""What one datum is, and where data come from."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from genlab.contracts.loading import BatchSampler, Loader
from genlab.errors import UsageError


class Support(StrEnum):
    """The set in which a datum lives."""

    BINARY = "binary"  # {0, 1}
    LEVELS = "levels"  # k / (levels - 1), k = 0 … levels - 1, so x in [0, 1]
    REAL = "real"  # standardised reals


@dataclass(frozen=True)
class DataSpec:
    """What one datum is. Numbers of data with different name, variant or support are never compared.

    shape: of one datum, (C, H, W) for images and (D,) for tables.
    variant: which version of the data this is: "fixed", "dynamic", "threshold 8", "17 levels", …
    levels: how many values a LEVELS entry can take; 2 for BINARY, None for REAL.
    log_scale: sum of log σ_d of the standardisation (nats); only reports subtract it. REAL only.
    classes: how many labels there are; 0 for unlabelled data.
    """

    name: str
    variant: str
    shape: tuple[int, ...]
    support: Support
    levels: int | None = None
    log_scale: float = 0.0
    classes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "support", Support(self.support))
        if self.support is Support.BINARY:
            object.__setattr__(self, "levels", 2)
        if not self.shape or min(self.shape) < 1:
            raise UsageError(f"shape {self.shape} of {self.name!r} must have positive entries")
        if self.support is Support.LEVELS and (self.levels is None or self.levels < 2):
            raise UsageError(
                f"{self.name!r} is LEVELS data and needs levels >= 2, not {self.levels}"
            )
        if self.support is Support.REAL and self.levels is not None:
            raise UsageError(f"{self.name!r} is REAL data and has no levels, not {self.levels}")
        if self.support is not Support.REAL and self.log_scale != 0.0:
            raise UsageError(f"log_scale belongs to REAL data; {self.name!r} is {self.support}")

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> DataSpec:
        """One that was written down as JSON. Raises UsageError, in one line, for what is none."""
        names = [field.name for field in dataclasses.fields(cls)]
        if sorted(content) != sorted(names):
            raise UsageError(f"spec has {list(content)}, expected {names}")
        shape, classes, levels = content["shape"], content["classes"], content["levels"]
        numbers = [*shape, classes] if isinstance(shape, list | tuple) else [None]
        if not all(type(n) is int and 0 <= n < 2**31 for n in numbers):
            raise UsageError(f"spec has shape {shape} and classes {classes}")
        if content["support"] not in list(Support):
            known = ", ".join(Support)
            raise UsageError(f"spec has support {content['support']!r}, expected {known}")
        if levels is not None and (type(levels) is not int or not 2 <= levels <= 2**24):
            raise UsageError(
                f"spec has levels {levels}, expected a whole number from 2 on, or null"
            )
        scale = content["log_scale"]
        if type(scale) not in (int, float):
            raise UsageError("spec needs a number 'log_scale'")
        if not math.isfinite(scale):
            raise UsageError(f"spec has log_scale {scale}, expected a finite number")
        if not all(isinstance(content[key], str) for key in ("name", "variant")):
            raise UsageError("spec needs a text 'name' and a text 'variant'")
        return cls(**{**content, "shape": tuple(shape), "log_scale": float(scale)})

    @property
    def size(self) -> int:
        """D, the number of numbers in one datum."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def is_picture(self) -> bool:
        """Whether a datum can be shown as it is: an image of 1 or 3 channels with values in [0, 1]."""
        return self.is_image and self.shape[0] in (1, 3) and self.levels is not None

    def contains(self, x: Tensor) -> bool:
        """Whether every row of x: (B, *shape) lies inside the support."""
        if tuple(x.shape[1:]) != self.shape or not bool(torch.isfinite(x).all()):
            return False
        if self.levels is None:
            return True
        steps = x * (self.levels - 1)
        inside = (x >= 0) & (x <= 1) & ((steps - steps.round()).abs() < 1e-3)
        return bool(inside.all())


class Batch(NamedTuple):
    """x: (B, *shape) float; label, index: (B,) int64 or None. The index says which datum a row is."""

    x: Tensor
    label: Tensor | None = None
    index: Tensor | None = None


class BatchSource(Protocol):
    """A data set: ``len`` and whole-batch indexing. (B,) int64 rows in, ``Batch`` out.

    Where rows far apart are slow to read, or too many to be listed, it may have
    ``order(generator: torch.Generator)``, which gives the order of an epoch: (N,) int64, each row once, or
    a function from (B,) places in it to (B,) rows; depending on the data and the generator alone. It
    takes the place of a permutation of all rows.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor) -> Batch: ...


class Rows:
    """A data set in memory, x: (N, *shape) with labels (N,) or without."""

    def __init__(self, x: Tensor, label: Tensor | None = None) -> None:
        self.x, self.label = x, label

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor) -> Batch:
        return Batch(self.x[rows], None if self.label is None else self.label[rows], rows)


class DataModule(LightningDataModule, ABC):
    """A data set and its splits. Subclasses give ``spec`` and ``dataset``; loaders are written here.

    batch_size counts data per process, as everywhere in Lightning. shuffle_seed keys the order of the
    training data; a run sets it to its own seed. num_workers: processes that read batches ahead; a run
    sets it to ``trainer.workers``.
    """

    shuffle_seed: int = 0
    num_workers: int = 0

    def __init__(self, batch_size: int = 100) -> None:
        super().__init__()
        if batch_size < 1:
            raise UsageError(f"data.batch_size={batch_size} must be at least 1")
        self.batch_size = batch_size

    @property
    @abstractmethod
    def spec(self) -> DataSpec: ...

    @abstractmethod
    def dataset(self, split: str) -> BatchSource:
        """The split "train", "val" or "test". A data set that redraws itself has ``set_epoch(int)``."""

    @property
    def labelled(self) -> DataModule | None:
        """Data of the same kind with labels, to learn features from: itself where it has any."""
        return self if self.spec.classes else None

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", shuffle=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _loader: int) -> Batch:
        """A batch that is there already is handed on: Lightning would take it apart to look."""
        if batch.x.device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, _loader)

    def require_enough(self, split: str, processes: int) -> None:
        """Raise UsageError where some of the processes would have none."""
        n = len(self.dataset(split))
        if n < processes:
            raise UsageError(f"{split} has {n} data, fewer than the {processes} processes")

    def _loader(self, split: str, shuffle: bool) -> DataLoader:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        self.require_enough(split, world)
        dataset = self.dataset(split)
        sampler = BatchSampler(dataset, self.batch_size, shuffle, self.shuffle_seed, rank, world)
        return Loader(dataset, sampler, self.num_workers)
