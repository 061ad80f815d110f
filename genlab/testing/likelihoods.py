"""Estimators: ``check_likelihood`` tries one on models whose log p(x) is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from genlab import randomness
from genlab.contracts import (
    GenerativeModel,
    Guarantee,
    Likelihood,
    LogLikelihood,
    Measure,
)
from genlab.testing.ambient import fingerprint
from genlab.testing.check import Check, Skip, check, expect
from genlab.testing.reference import TABLES, Table, tried_on
from genlab.testing.report import Report
from genlab.testing.training import SkewedData

BUILT = "estimator_can_be_built_and_prepared"
REPEATS, SIGMAS, CLOSE = 64, 5.0, 1e-4
Build = Callable[[GenerativeModel], Likelihood]


class Estimated:
    """An estimator of a model, prepared."""

    enumerable = True

    def __init__(self, build: Build, seed: int, model: Table) -> None:
        self.build, self.model, self.seed = build, model, seed
        self.title = type(model).__name__
        self.thing = self.fresh()

    def fresh(self) -> Likelihood:
        estimator = self.unprepared()
        data = SkewedData(self.model.space, self.seed)
        estimator.prepare(data, generator=self.generator("prepare"))
        return estimator

    def unprepared(self) -> Likelihood:
        return self.build(self.model).eval()

    def generator(self, *parts: str | int) -> torch.Generator:
        return randomness.generator("estimator", self.seed, *parts)

    @property
    def x(self) -> Tensor:
        return self.model.space.states

    def of(self, estimator: Likelihood, *parts: str | int) -> LogLikelihood:
        return estimator(self.x.clone(), generator=self.generator(*parts))


def check_likelihood(
    build: Build, *, tables: Sequence[type[Table]] = TABLES, seed: int = 0
) -> Report:
    """Check an estimator: the class itself, or ``lambda model: Mine(model, k=10)``.

    It is tried on a model with an exact likelihood, one with importance weights and one with nothing but
    samples; those that it refuses with a UsageError are left out. Nothing of its own is raised.
    tables: the models to try. An estimator that needs more of a model is given one that has it and is a
    ``Table``, whose log p(x) is known.
    """
    name = getattr(build, "__name__", type(build).__name__)
    results = tried_on(tables, partial(Estimated, build, seed), BUILT, LIKELIHOOD_CHECKS)
    return Report(name, tuple(results))


@check("nats must be (B,), finite where no problem is named, and the measure that of the data")
def numbers_are_of_each_datum(s: Estimated) -> None:
    found = s.of(s.thing)
    expect(found.nats.shape == (len(s.x),), f"nats have the shape {tuple(found.nats.shape)}")
    expect(bool(found.problem) or bool(found.nats.isfinite().all()), "a number is not finite")
    expect(found.measure is Measure.of(s.model.spec), f"the measure is {found.measure}")
    expect(bool(found.method), "method is empty: say in a few words how the number was found")


@check(
    "the numbers must be what their guarantee says: equal to log p(x), or on one side of it on average"
)
def guarantee_is_kept(s: Estimated) -> None:
    found = s.of(s.thing)
    if found.guarantee is Guarantee.ESTIMATE or found.problem:
        raise Skip(found.problem or "an estimate promises nothing")
    truth = s.model.true(s.x)
    draws = torch.stack([s.of(s.thing, r).nats.double() for r in range(REPEATS)])
    exact = found.guarantee is Guarantee.EXACT
    off = (draws if exact else draws.mean(0)) - truth
    error = CLOSE + (0.0 if exact else SIGMAS * draws.std(0) / REPEATS**0.5)
    worst = f"they are off by {off.min():.3g} to {off.max():.3g} nats"
    if found.guarantee is not Guarantee.UPPER_BOUND:
        expect(bool((off <= error).all()), worst)
    if found.guarantee is not Guarantee.LOWER_BOUND:
        expect(bool((off >= -error).all()), worst)


@check(
    "all randomness must come from the generator: the same one gives the same numbers, bit by bit"
)
def the_generator_decides_the_numbers(s: Estimated) -> None:
    before = fingerprint()
    first = s.of(s.thing, "same").nats
    expect(fingerprint() == before, "a global generator was used")
    torch.rand(5)
    expect(torch.equal(first, s.of(s.thing, "same").nats), "the second time they are others")


@check(
    "what prepare computes must lie in buffers: rank 0 sends them to the other processes, and no more"
)
def what_is_prepared_lies_in_buffers(s: Estimated) -> None:
    other = s.unprepared()
    for name, value in s.thing.named_buffers():
        owner, _, own = name.rpartition(".")
        other.get_submodule(owner).register_buffer(own, value.clone())
    expect(
        torch.equal(s.of(other, "sent").nats, s.of(s.thing, "sent").nats),
        "an estimator that was sent the buffers gives other numbers",
    )


@check("settings must be JSON, the same each time: they name the score's file")
def settings_are_json(s: Estimated) -> None:
    written = json.dumps(s.thing.settings, sort_keys=True, allow_nan=False)
    expect(written == json.dumps(s.fresh().settings, sort_keys=True), "built again it has others")


@check("name must be a word: the estimator's option in configs/likelihood")
def it_has_a_name(s: Estimated) -> None:
    name = getattr(s.thing, "name", None)
    expect(str(name).isidentifier(), f"it is {name!r}")


@check("scoring must change neither the data nor the model")
def scoring_changes_nothing(s: Estimated) -> None:
    x, state = s.x.clone(), {k: v.clone() for k, v in s.model.state_dict().items()}
    s.thing(x, generator=s.generator("unchanged"))
    expect(torch.equal(x, s.x), "the data handed in were written to")
    changed = [k for k, v in s.model.state_dict().items() if not torch.equal(v, state[k])]
    expect(not changed, f"the model's {', '.join(changed)} changed")


LIKELIHOOD_CHECKS = tuple(value for value in list(vars().values()) if isinstance(value, Check))
