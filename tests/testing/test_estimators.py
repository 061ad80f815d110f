"""The checks of estimators and metrics: those of genlab pass, and each fault is found by name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from genlab.contracts import Guarantee, Likelihood, LogLikelihood, Measure
from genlab.likelihood import Elbo, Exact, ImportanceWeighted, KernelWindow
from genlab.metrics import (
    C2ST,
    MMD,
    Birthday,
    DensityCoverage,
    Frechet,
    Kernel,
    Memorisation,
    PrecisionRecall,
    Reconstruction,
)
from genlab.metrics.base import SampleMetric
from genlab.testing import check_likelihood, check_metric
from genlab.testing.likelihoods import BUILT, LIKELIHOOD_CHECKS
from genlab.testing.metrics import METRIC_CHECKS
from genlab.testing.reference import WeightedTable

FAULTS: list[tuple[type, str]] = []


def caught_by(check: str):
    def register(part: type) -> type:
        FAULTS.append((part, check))
        return part

    return register


class Own(Likelihood):
    """The mean of four importance weights, or the model's own number."""

    name = "own"
    drawn = 4

    def forward(self, x, *, label=None, generator) -> LogLikelihood:
        log_w = self.model.log_weights(x, self.drawn, generator=generator)
        nats = log_w.logsumexp(0) - torch.tensor(float(self.drawn)).log()
        return LogLikelihood(nats, Guarantee.LOWER_BOUND, Measure.MASS, method="weights")

    @property
    def settings(self):
        return {"k": self.drawn}


@caught_by(BUILT)
class Fragile(Own):
    def __init__(self, model) -> None:
        raise ValueError("not today")


@caught_by("numbers_are_of_each_datum")
class OneNumber(Own):
    def forward(self, x, *, label=None, generator):
        found = super().forward(x, generator=generator)
        return replace(found, nats=found.nats.mean())


@caught_by("guarantee_is_kept")
class WithoutLogK(Own):
    def forward(self, x, *, label=None, generator):
        found = super().forward(x, generator=generator)
        return replace(found, nats=found.nats + torch.tensor(4.0).log())


@caught_by("guarantee_is_kept")
class BoundForExact(Own):
    def forward(self, x, *, label=None, generator):
        return replace(super().forward(x, generator=generator), guarantee=Guarantee.EXACT)


@caught_by("the_generator_decides_the_numbers")
class GlobalNoise(Own):
    def forward(self, x, *, label=None, generator):
        return super().forward(x, generator=torch.default_generator)


@caught_by("what_is_prepared_lies_in_buffers")
class PreparedAttribute(Own):
    width = 0.0

    def prepare(self, data, *, generator):
        self.width = float(torch.rand((), generator=generator))

    def forward(self, x, *, label=None, generator):
        found = super().forward(x, generator=generator)
        return replace(found, nats=found.nats - self.width)


@caught_by("settings_are_json")
class TensorSettings(Own):
    @property
    def settings(self):
        return {"k": torch.tensor(4)}


@caught_by("it_has_a_name")
class TwoWords(Own):
    name = "my own"


@caught_by("scoring_changes_nothing")
class InPlace(Own):
    def forward(self, x, *, label=None, generator):
        found = super().forward(x, generator=generator)
        x.mul_(0.5)
        return found


@pytest.mark.parametrize(
    "build", [Own, Exact, Elbo, ImportanceWeighted, partial(KernelWindow, n=500)]
)
def test_an_honest_estimator_passes(build):
    tables = (WeightedTable,) if build is Own else None
    report = check_likelihood(build, **({"tables": tables} if tables else {}))
    assert report.passed, str(report)


class Mean(SampleMetric):
    """The distance between the means, and a share of random rows."""

    name = "mean"
    space = "data"
    shown = ("distance",)

    def between(self, samples, real):
        return {"distance": (samples.mean(0) - real.mean(0)).norm().item()}


@caught_by("numbers_have_names")
class OtherNames(Mean):
    shown = ("mean",)


@caught_by("numbers_have_names")
class NotANumber(Mean):
    def between(self, samples, real):
        return {"distance": float("nan")}


@caught_by("it_tells_distributions_apart")
class Blind(Mean):
    def between(self, samples, real):
        return {"distance": 0.5}


@caught_by("numbers_are_functions_of_data_and_seed")
class RandomRows(Mean):
    def between(self, samples, real):
        return super().between(samples[torch.randperm(len(samples))[:10]], real)


@caught_by("numbers_are_functions_of_data_and_seed")
class MeanOfBatches(Mean):
    def update(self, x, real):
        super().update(x.mean(0, keepdim=True).repeat(3, 1) + (x - x.mean(0))[:1], real)


@caught_by("reset_forgets")
class Remembers(Mean):
    total = 0.0

    def between(self, samples, real):
        self.total += float(samples.sum())
        return {"distance": self.total}


@caught_by("too_few_are_refused")
class Careless(Mean):
    @property
    def least(self):
        return 0


@caught_by("settings_are_json")
class SetSettings(Mean):
    @property
    def settings(self):
        return {"rows": {1, 2}}


@caught_by("it_has_a_name")
class Unnamed(Mean):
    name = ""


@caught_by("numbers_are_of_each_datum")
class MeanError(Reconstruction):
    def forward(self, batch, *, generator):
        found = super().forward(batch, generator=generator)
        return {name: values.mean(0, keepdim=True) for name, values in found.items()}


@caught_by("floor_has_the_same_numbers")
class FloorOfAnother(Reconstruction):
    def floor(self, data, split):
        return replace(super().floor(data, split), values={"other": 1.0})


HONEST = [Birthday, C2ST, DensityCoverage, Frechet, Kernel, Memorisation, MMD, PrecisionRecall]


@pytest.mark.parametrize("build", [Mean, Reconstruction, *HONEST])
def test_an_honest_metric_passes(build):
    report = check_metric(build)
    assert report.passed, str(report)


@pytest.mark.parametrize(("part", "check"), FAULTS, ids=lambda it: getattr(it, "__name__", it))
def test_a_fault_is_found_by_name(part, check):
    estimator = issubclass(part, Likelihood)
    report = check_likelihood(part, tables=(WeightedTable,)) if estimator else check_metric(part)
    assert check in {result.check for result in report.failed}, str(report)


def test_every_check_finds_a_fault():
    checks = {check.name for check in (*LIKELIHOOD_CHECKS, *METRIC_CHECKS)}
    assert checks <= {name for _, name in FAULTS}
