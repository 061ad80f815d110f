"""Labels: one that is ignored in silence would seem to mean something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from genlab.contracts import (
    Completes,
    GenerativeModel,
    HasImportanceWeights,
    HasLikelihood,
    HasVelocity,
    TakesSampler,
    UsageError,
)
from genlab.testing.check import Skip, check, expect, same
from genlab.testing.checks.evidence import evidence_for
from genlab.testing.subject import Subject

T = TypeVar("T")
N = 64


@check(
    "a label must be refused, as self.refuse_label(label) does, or make a difference; without classes in"
    " the data it must be refused",
    needs=GenerativeModel,
)
def labels_are_refused_or_used(s: Subject) -> None:
    label, classes = torch.zeros(N, dtype=torch.int64), s.space.spec.classes

    def drawn(label: torch.Tensor | None) -> torch.Tensor:
        return s.model.sample(N, label=label, generator=s.generator("label"))

    given = _unless_refused(lambda: drawn(label))
    if given is not None:
        expect(classes > 0, "sample takes a label of data without classes")
        expect(not same(given, drawn(None)), "sample draws the same with a label as without")
    if isinstance(s.model, HasLikelihood):
        x, model = s.distinct(N), s.model
        found = _unless_refused(
            lambda: model.log_likelihood(x, label=label[: len(x)], generator=s.generator("label"))
        )
        if found is not None:
            expect(classes > 0, "log_likelihood takes a label of data without classes")
            expect(
                found.given == "label", f"log_likelihood with a label says given={found.given!r}"
            )


@check(
    "where the data have no classes, every method that takes a label must refuse it, as"
    " self.refuse_label(label) does: one that is ignored in silence would seem to mean something"
)
def labels_are_refused_without_classes(s: Subject) -> None:
    if s.space.spec.classes:
        raise Skip("the data have classes")
    for name, call in _labelled(s).items():
        expect(_unless_refused(call) is None, f"{name} takes one")


def _labelled(s: Subject) -> dict[str, Callable[[], torch.Tensor]]:
    """Calls of what takes labels beside ``sample`` and ``log_likelihood``, each given some."""
    model, x, generator = s.model, s.distinct(N), s.generator("label")
    label, calls = torch.zeros(len(x), dtype=torch.int64), {}
    given = {"label": label, "generator": generator}
    if isinstance(model, HasImportanceWeights):
        calls["log_weights"] = lambda: model.log_weights(x, 1, **given)
    if isinstance(model, HasVelocity):
        z, t = model.embed(x, generator=generator)[0], model.span[0]
        calls["velocity"] = lambda: model.velocity(z, t, label)
    if isinstance(model, TakesSampler):
        calls["sample_by"] = lambda: model.sample_by(None, len(x), **given)
    if isinstance(model, Completes):
        for each in evidence_for(s):
            told = given | {"label": label[:1].expand(len(each))}
            calls["complete"] = lambda each=each, told=told: model.complete(each, 1, **told)
    return calls


def _unless_refused(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except UsageError:
        return None
