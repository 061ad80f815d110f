"""What every metric of sample quality owes: a torchmetric over two sets, samples and real data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from genlab.contracts import GenerativeModel, Model, UsageError

SPACES = ("features", "data")
Values = dict[str, float | None]


class SampleMetric(Metric, ABC):
    """Compares samples with real data that the model has not seen.

    ``update(x, real)`` collects both sets; ``compute()`` returns named numbers, None where there is no
    number to give. Random choices are keyed by ``seed``, and the default random state is left alone.

    name: as in configs/metric. space: what is compared, "features" of the data or the "data" themselves.
    shown: the values that belong in a table. needs_train: whether ``prepare`` does anything.
    features: maps x: (B, *shape) to (B, d); None takes x as it is, flattened.

    Processes are not synchronised: one of them, which holds all the samples, computes the metric.
    """

    name: ClassVar[str]
    space: ClassVar[str] = "features"
    shown: ClassVar[tuple[str, ...]]
    needs_train: ClassVar[bool] = False

    full_state_update = False
    samples: list[Tensor]
    real: list[Tensor]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.space not in SPACES:
            raise UsageError(f"{cls.__name__}.space={cls.space!r}: choose {' or '.join(SPACES)}")

    def __init__(self, seed: int = 0, features: nn.Module | None = None) -> None:
        super().__init__(sync_on_compute=False)
        self.seed = seed
        self.features = features
        self.add_state("samples", [], dist_reduce_fx="cat")
        self.add_state("real", [], dist_reduce_fx="cat")

    @classmethod
    def lacking(cls, model: Model) -> str:
        """What it needs and this model lacks, as the end of a sentence; empty where nothing is lacking."""
        if isinstance(model, GenerativeModel):
            return ""
        return f"samples, and {type(model).__name__} draws none"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything beside seed and features that decides its numbers, as JSON."""
        return {}

    def prepare(self, train: Tensor) -> None:
        """Take the training data (N, *shape), less any that come as samples, before ``compute``."""

    def update(self, x: Tensor, real: bool) -> None:
        """Add x: (B, *shape), real data or samples."""
        (self.real if real else self.samples).append(self.vectors(x))

    def vectors(self, x: Tensor) -> Tensor:
        """(B, d) of x: (B, *shape)."""
        with torch.no_grad():
            return (x if self.features is None else self.features(x)).flatten(1)

    def compute(self) -> Values:
        """Raises UsageError where there are fewer than ``least`` samples or real data."""
        samples, real = (
            dim_zero_cat(s) if s else torch.empty(0, 0) for s in (self.samples, self.real)
        )
        if min(len(samples), len(real)) < self.least:
            raise UsageError(
                f"metric.{self.name} needs at least {self.least} samples and as many real data, not "
                f"{len(samples)} and {len(real)}"
            )
        return self.between(samples, real)

    @property
    def least(self) -> int:
        """How many of each set it takes to have a number at all."""
        return 2

    @abstractmethod
    def between(self, samples: Tensor, real: Tensor) -> Values:
        """The numbers, of samples: (M, d) and real: (N, d)."""


def evenly(x: Tensor, n: int) -> Tensor:
    """n rows of x spread evenly over it, all where there are no more: data may be sorted by class."""
    return x[spread(min(n, len(x)), len(x)).to(x.device)]


def spread(n: int, length: int) -> Tensor:
    """n row numbers spread evenly over ``length`` rows."""
    return torch.arange(n) * length // n
