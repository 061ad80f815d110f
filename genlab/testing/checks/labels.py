"""Labels: one that is ignored in silence would seem to mean something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from genlab.contracts import GenerativeModel, HasLikelihood, UsageError
from genlab.testing.check import check, expect, same
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


def _unless_refused(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except UsageError:
        return None
