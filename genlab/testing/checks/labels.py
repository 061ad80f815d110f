"""Labels: where the data have no classes, a label means nothing, and must not seem to mean something."""

from __future__ import annotations

import torch

from genlab.contracts import GenerativeModel, HasLikelihood, UsageError
from genlab.testing.check import Skip, check, expect
from genlab.testing.subject import Subject


@check(
    "where the data have no classes, a label must be refused with a UsageError, or ignored without the"
    " likelihood saying that it was given",
    needs=GenerativeModel,
)
def labels_mean_nothing_without_classes(s: Subject) -> None:
    if s.space.spec.classes:
        raise Skip("the data have classes")
    label = torch.zeros(4, dtype=torch.int64)
    try:
        s.model.sample(4, label=label, generator=s.generator("label"))
        if isinstance(s.model, HasLikelihood):
            x = s.distinct(4)
            result = s.model.log_likelihood(
                x, label=label[: len(x)], generator=s.generator("label")
            )
            expect(result.given == "", f"given={result.given!r}")
    except UsageError:
        return
