"""What every metric of a model's answers owes: a number for each datum, and its floor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from genlab.contracts import Batch, BatchSource, DataModule, Model, UsageError
from genlab.contracts.loading import stretches

ROWS = 4096  # of a pass over the data themselves, which decides no number


@dataclass(frozen=True)
class Floor:
    """The values of somebody who does not look at the datum. of: who that is, in words."""

    of: str
    values: dict[str, float]


class DatumMetric(nn.Module, ABC):
    """Numbers for each datum of what a model says of it, lower is better: built as ``Metric(model)``.

    name: as in configs/metric. shown: the values that belong in a table, the first of which ranks.
    Raises UsageError where the model or its data lack what the metric needs.
    """

    name: ClassVar[str]
    shown: ClassVar[tuple[str, ...]]

    def __init__(self, model: Model) -> None:
        lacking = self.lacking(model)
        if lacking:
            raise UsageError(f"metric={self.name} needs {lacking}")
        super().__init__()
        self.model = model

    @classmethod
    @abstractmethod
    def lacking(cls, model: Model) -> str:
        """What it needs and this model lacks, as the end of a sentence; empty where nothing is lacking."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything beside the seed that decides its numbers, as JSON: part of its file's name."""
        return {}

    @abstractmethod
    def forward(self, batch: Batch, *, generator: Generator) -> dict[str, Tensor]:
        """Values (B,) by name, the same names for every batch; NaN where there is no number."""

    @abstractmethod
    def floor(self, data: DataModule, split: str) -> Floor:
        """What the simplest answer gets on a split, learned from the training data; under the names of
        ``forward``. ``data`` has been set up."""

    def facts(self, batch: Batch) -> dict[str, int]:
        """Sizes without which the numbers cannot be judged, of any one batch."""
        return {}


def batches(source: BatchSource) -> Iterator[Batch]:
    """A whole split, in order."""
    for rows in stretches(len(source), ROWS):
        yield source[rows]
