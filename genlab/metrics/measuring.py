"""A model's samples by several metrics, each beside its reference: training data in the samples' place.

The reference says what the metric gives where there is nothing to find: n training data against the same
n held-out data. What is compared is spread evenly over each split, since rows may be sorted by class.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genlab.contracts import DataModule, GenlabError, UsageError
from genlab.memory import held
from genlab.metrics.base import SampleMetric, Values, spread
from genlab.metrics.features import Features, Raw, features_for
from genlab.progress import progress

MOST = 10_000  # samples, where no number is asked for


@dataclass(frozen=True)
class Measured:
    """One metric's numbers. reference: of training data in the place of samples; n: of each set."""

    metric: SampleMetric
    values: Values
    reference: Values
    n: int
    features: Features
    seconds: float


def how_many(
    data: DataModule, split: str, asked: int | None, metrics: Sequence[SampleMetric]
) -> int:
    """How many samples to compare with as many data of the split; ``data`` has been set up.

    As many as asked for; by default all data of the split, or half of the training data if those are
    fewer, at most 10,000. Raises UsageError where there are too few or too many.
    """
    if split == "train":
        raise UsageError("metric=… compares with data held out: choose the split val or test")
    held_out, train = len(data.dataset(split)), len(data.dataset("train"))
    n = min(MOST, held_out, train // 2) if asked is None else asked
    if n > held_out or n >= train:
        raise UsageError(
            f"samples={n}: the {split} split has {held_out} data and training {train}: at most "
            f"{min(held_out, train - 1)}"
        )
    for metric in metrics:
        if n < metric.least:
            raise UsageError(f"samples={n}: metric={metric.name} needs at least {metric.least}")
    return n


def measure(
    metrics: Sequence[SampleMetric], samples: Tensor, data: DataModule, split: str
) -> Iterator[Measured]:
    """Each metric of samples: (n, *shape) against n held-out data; ``data`` has been set up.

    Raises GenlabError where a sample lies outside the support of the data.
    """
    _require_inside(samples, data)
    chosen = features_for(data) if any(m.space == "features" for m in metrics) else Raw()
    spaces: dict[str, Features] = {"features": chosen.to(samples.device), "data": Raw()}
    rows = _Rows(samples, data, split)
    sets = {space: _Sets(rows, features) for space, features in spaces.items()}
    with progress("measure", len(metrics)) as advance:
        for done, metric in enumerate(metrics):
            advance(done, metric.name)
            start = time.monotonic()
            values, reference = sets[metric.space].by(metric)
            seconds = time.monotonic() - start
            yield Measured(metric, values, reference, len(samples), spaces[metric.space], seconds)


def _require_inside(samples: Tensor, data: DataModule) -> None:
    if data.spec.contains(samples):
        return
    bad = [i for i, x in enumerate(samples) if not data.spec.contains(x[None])]
    raise GenlabError(
        f"{len(bad)} of {len(samples)} samples are no {data.spec.support.name} data (not finite, or not "
        f"among its values), the first is sample {bad[0]}"
    )


class _Rows:
    """The data that are compared: n held-out, n training data, and other training data."""

    def __init__(self, samples: Tensor, data: DataModule, split: str) -> None:
        self.samples, n = samples, len(samples)
        held_out, train = data.dataset(split), data.dataset("train")
        chosen, rows = spread(n, len(train)), held(len(train), data.spec.size)
        self.real = held_out[spread(n, len(held_out))].x.to(samples.device)
        self.train = train[chosen].x.to(samples.device)
        self._all, self._others = train, rows[~torch.isin(rows, chosen)]

    @cached_property
    def others(self) -> Tensor:
        return self._all[self._others].x.to(self.samples.device)


class _Sets:
    """The same as vectors of one space, computed when first needed and then kept."""

    def __init__(self, rows: _Rows, features: Features) -> None:
        self.rows, self.features = rows, features

    @cached_property
    def samples(self) -> Tensor:
        return self.features.of(self.rows.samples)

    @cached_property
    def real(self) -> Tensor:
        return self.features.of(self.rows.real)

    @cached_property
    def train(self) -> Tensor:
        return self.features.of(self.rows.train)

    @cached_property
    def others(self) -> Tensor:
        return self.features.of(self.rows.others)

    def by(self, metric: SampleMetric) -> tuple[Values, Values]:
        """(values, reference)."""
        if metric.needs_train:
            metric.prepare(torch.cat([self.train, self.others]))
        values = self._of(metric, self.samples)
        if metric.needs_train:
            metric.prepare(self.others)
        return values, self._of(metric, self.train)

    def _of(self, metric: SampleMetric, samples: Tensor) -> Values:
        metric.reset()
        metric.update(samples, real=False)
        metric.update(self.real, real=True)
        values = metric.compute()
        metric.reset()
        return values
