"""A model's answers over a split by one metric, and what may be said of their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator

from genlab.blocks import Answer as Block
from genlab.blocks import BlockPass
from genlab.contracts import Batch, DataModule
from genlab.means import not_finite, standard_error
from genlab.metrics.datum import DatumMetric


@dataclass(frozen=True)
class Answers:
    """values: (n,) float64 by name, in the order of the rows. facts: as the metric's own."""

    values: dict[str, np.ndarray]
    facts: dict[str, int]

    def summary(self) -> dict[str, dict[str, Any]]:
        """Mean and standard error by name. A mean that cannot be given is None, with a reason."""
        return {name: _mean(values) for name, values in self.values.items()}


def _mean(values: np.ndarray) -> dict[str, Any]:
    reason = not_finite(values)
    return {
        "mean": None if reason else float(values.mean()),
        "stderr": None if reason else standard_error(values),
        "reason": reason,
    }


def answer(
    metric: DatumMetric,
    data: DataModule,
    split: str,
    trainer: Any,
    *,
    seed: int,
    write: Callable[[Answers], None],
) -> None:
    """Ask the metric's model about every datum; ``write`` is called once, on rank 0, with every value."""
    _Asking(metric, data, split, seed, write).by(trainer)


class _Asking(BlockPass):
    def __init__(
        self,
        metric: DatumMetric,
        data: DataModule,
        split: str,
        seed: int,
        write: Callable[[Answers], None],
    ) -> None:
        super().__init__(data, split, ("answers", metric.name, seed, split))
        self.metric, self.write = metric, write

    @torch.no_grad()
    def answer(self, batch: Batch, noise: Generator) -> Block:
        return Block(self.metric(batch, generator=noise), self.metric.facts(batch))

    def finish(self, values: dict[str, np.ndarray], abouts: list[dict[str, int]]) -> None:
        self.write(Answers(values, abouts[0]))
