"""Metrics: ``check_metric`` tries one on samples whose faults are known, or on models that are."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlab import randomness
from genlab.contracts import Batch, UsageError
from genlab.metrics import DatumMetric, SampleMetric
from genlab.testing.ambient import fingerprint
from genlab.testing.check import Check, check, describe, expect
from genlab.testing.reference import TABLES, Table, tried_on
from genlab.testing.report import Report, Result, Status
from genlab.testing.training import SkewedData

BUILT = "metric_can_be_built"
ROWS, SIZE = 256, 4
Metric = SampleMetric | DatumMetric


class Compared:
    """A metric of samples. real, like and unlike: (ROWS, SIZE), the last of another distribution
    and eight points only.
    """

    enumerable, title = True, "normal samples"

    def __init__(self, build: Callable[..., Any], seed: int) -> None:
        self.build, self.seed = build, seed
        self.thing = build(seed=seed)
        draws = torch.randn(4, ROWS, SIZE, generator=randomness.generator("metric", seed))
        self.real, self.like, self.train = draws[0], draws[1], draws[3]
        self.unlike = (3 * draws[2, :8] + 5).repeat(ROWS // 8, 1)

    def of(self, samples: Tensor, pieces: int = 1, metric: Any = None) -> dict[str, float | None]:
        metric = self.build(seed=self.seed) if metric is None else metric
        metric.prepare(self.train.clone())
        for real, x in ((True, self.real), (False, samples)):
            for part in x.chunk(pieces):
                metric.update(part.clone(), real=real)
        return metric.compute()


class Asked:
    """A metric of what a model says of each datum."""

    enumerable = True

    def __init__(self, build: Callable[..., Any], seed: int, model: Table) -> None:
        self.model, self.seed, self.title = model, seed, type(model).__name__
        self.thing = build(model)
        self.data = SkewedData(model.space, seed)
        self.batch = self.data.dataset("val")[torch.arange(ROWS)]

    def of(self, batch: Batch) -> dict[str, Tensor]:
        return self.thing(batch, generator=randomness.generator("metric", self.seed))


def check_metric(build: Callable[..., Metric], *, seed: int = 0) -> Report:
    """Check a metric: its class, or ``partial(Mine, rows=100)``. Nothing of its own is raised.

    One of samples is built as ``build(seed=…)``, one of a model's answers as ``build(model)`` with each of
    the models that the suite knows; where it needs another one, there is nothing to check.
    """
    try:
        subject = Compared(build, seed)
        if not isinstance(subject.thing, SampleMetric):
            raise TypeError("it is no SampleMetric")
    except TypeError:
        asked = partial(Asked, build, seed)
        return Report(_name(build), tuple(tried_on(TABLES, asked, BUILT, METRIC_CHECKS)))
    except Exception as error:
        return Report(_name(build), (Result(BUILT, "", Status.FAILED, 0.0, describe(error)),))
    results = [each.run(subject) for each in METRIC_CHECKS if each.applies(subject)]
    return Report(type(subject.thing).__name__, tuple(results))


def _name(build: Callable[..., Metric]) -> str:
    return getattr(build, "__name__", type(build).__name__)


@check(
    "compute must give numbers by name, None where there is none, and all those that are shown",
    needs=SampleMetric,
)
def numbers_have_names(s: Compared) -> None:
    found = s.of(s.like)
    _expect_shown(s.thing, found)
    for name, value in found.items():
        finite = value is None or (isinstance(value, int | float) and math.isfinite(value))
        expect(finite, f"{name} is {value!r}")


@check("it must tell samples of another distribution from real data", needs=SampleMetric)
def it_tells_distributions_apart(s: Compared) -> None:
    like, unlike = s.of(s.like), s.of(s.unlike)
    same = all(like[name] == unlike[name] for name in s.thing.shown)
    expect(not same, "what is shown is the same for both")


@check(
    "numbers must depend neither on how the data are divided into updates nor on global generators",
    needs=SampleMetric,
)
def numbers_are_functions_of_data_and_seed(s: Compared) -> None:
    before = fingerprint()
    whole = s.of(s.like)
    expect(fingerprint() == before, "a global generator was used")
    torch.rand(5)
    for name, value in s.of(s.like, pieces=3).items():
        other = whole[name]
        close = value == other or (
            value is not None and other is not None and abs(value - other) < 1e-5
        )
        expect(close, f"{name} is {value} in pieces and {other} at once")


@check("reset must forget what was seen", needs=SampleMetric)
def reset_forgets(s: Compared) -> None:
    metric = s.build(seed=s.seed)
    s.of(s.unlike, metric=metric)
    metric.reset()
    expect(
        s.of(s.like, metric=metric) == s.of(s.like), "the numbers are not those of a fresh metric"
    )


@check("too few data must be refused with a UsageError", needs=SampleMetric)
def too_few_are_refused(s: Compared) -> None:
    metric = s.build(seed=s.seed)
    metric.update(s.real[:1], real=True)
    metric.update(s.like[:1], real=False)
    try:
        metric.compute()
    except UsageError:
        return
    expect(False, "of one sample and one datum it gave numbers")


@check(
    "it must give numbers for each datum, by name, and the same for a datum alone",
    needs=DatumMetric,
)
def numbers_are_of_each_datum(s: Asked) -> None:
    together = s.of(s.batch)
    _expect_shown(s.thing, together)
    for name, values in together.items():
        expect(values.shape == (ROWS,), f"{name} has the shape {tuple(values.shape)}")
    alone = s.of(s.data.dataset("val")[torch.arange(1)])
    for name, values in alone.items():
        expect(
            torch.allclose(values, together[name][:1], equal_nan=True), f"{name} alone is another"
        )


@check("the floor must have the numbers of forward, by the same names", needs=DatumMetric)
def floor_has_the_same_numbers(s: Asked) -> None:
    floor, own = s.thing.floor(s.data, "val"), s.of(s.batch)
    expect(floor.values.keys() == own.keys(), f"{sorted(floor.values)} are not {sorted(own)}")
    expect(bool(floor.of), "floor.of is empty: say in a few words whose answers these are")


@check("settings must be JSON: they name the file of the numbers")
def settings_are_json(s: Compared | Asked) -> None:
    json.dumps(s.thing.settings, sort_keys=True, allow_nan=False)
    copy.deepcopy(s.thing)


@check("name must be a word: the metric's option in configs/metric")
def it_has_a_name(s: Compared | Asked) -> None:
    name = getattr(s.thing, "name", None)
    expect(str(name).isidentifier(), f"it is {name!r}")


def _expect_shown(metric: Metric, found: Collection[str]) -> None:
    missing = [name for name in metric.shown if name not in found]
    expect(not missing, f"{', '.join(missing)} is shown and not computed")


METRIC_CHECKS = tuple(value for value in list(vars().values()) if isinstance(value, Check))
