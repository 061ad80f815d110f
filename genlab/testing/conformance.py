"""The conformance suite: does a model keep what its base classes promise?"""

from __future__ import annotations

import time
from collections.abc import Iterable

from genlab.contracts import Classifies, DataSpec, Model, UnsupportedData
from genlab.testing.check import describe
from genlab.testing.checks import CHECKS
from genlab.testing.report import Report, Result, Status
from genlab.testing.spaces import LABELLED, SMALL, space_of
from genlab.testing.subject import Build, Subject

TRAIN = "model_can_be_built_and_trained"
TRIED = "to build the model and to train its stages, each by a loss that is one number, not one per datum"


def check_model(
    build: Build,
    *,
    spec: DataSpec | None = None,
    seed: int = 0,
    train_steps: int = 600,
    draws: int = 20_000,
) -> Report:
    """Build and train a model on small spaces and check what the base classes of its class promise.

    build: makes the model of a spec: the class itself, or ``lambda spec: Model(spec, hidden=16)``.
    spec: the only data to try; by default the smallest space of each support that the model takes, without
    labels, and with them where it tells labels or takes no other data. A space that is too large to be
    enumerated is tested for what needs no enumeration.
    draws: samples that are compared with probabilities.
    The same arguments give the same verdicts. Raises nothing of the model's own: see the report.
    """

    def tried(specs: Iterable[DataSpec]) -> tuple[Model | None, list[Result]]:
        return _check(build, specs, seed, train_steps, draws)

    found = [tried([spec])] if spec is not None else []
    for support in SMALL if spec is None else ():
        model, results = tried(SMALL[support])
        refused = model is None and all(r.status is Status.SKIPPED for r in results)
        found += [] if refused else [(model, results)]
        if refused or isinstance(model, Classifies):
            found.append(tried(LABELLED[support]))
    names = [type(model).__name__ for model, _ in found if model is not None]
    results = [result for _, results in found for result in results]
    return Report(next(iter(names), _name(build)), tuple(results))


def assert_conforms(build: Build, **options: object) -> None:
    """``check_model`` for a test: AssertionError names every failed check and says what is wrong."""
    check_model(build, **options).raise_if_failed()  # type: ignore[arg-type]


def _check(
    build: Build, specs: Iterable[DataSpec], seed: int, train_steps: int, draws: int
) -> tuple[Model | None, list[Result]]:
    """All checks on the first of these spaces that the model takes, and the model that was trained."""
    start = time.perf_counter()

    def prepared(status: Status, message: str = "") -> Result:
        return Result(TRAIN, space.title, status, time.perf_counter() - start, message)

    refusal: Result | None = None
    for spec in specs:
        space = space_of(spec)
        try:
            subject = Subject.trained(build, space, seed=seed, steps=train_steps, draws=draws)
        except UnsupportedData as reason:
            refusal = prepared(Status.SKIPPED, str(reason))
        except Exception as error:
            return None, [prepared(Status.FAILED, f"{describe(error)}; what was tried: {TRIED}")]
        else:
            checks = [check for check in CHECKS if check.applies(subject)]
            results = [prepared(Status.PASSED), *(check.run(subject) for check in checks)]
            return subject.model, results
    return None, [refusal] if refusal else []


def _name(build: Build) -> str:
    return getattr(build, "__name__", type(build).__name__)
