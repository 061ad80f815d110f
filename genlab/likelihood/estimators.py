"""Likelihood estimators as wrappers over what a model can do. None of them names a model."""

from __future__ import annotations

from torch import Generator, Tensor

from genlab.contracts import (
    GenerativeModel,
    HasLikelihood,
    Likelihood,
    LogLikelihood,
    UsageError,
)


class OwnLikelihood(Likelihood):
    """What the model itself says of log p(x): exact or a bound, by its own word."""

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        if not isinstance(model, HasLikelihood):
            raise UsageError(
                f"{type(model).__name__} gives no likelihood of its own (it lacks HasLikelihood)"
            )
        self.model = model

    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        return self.model.log_likelihood(x, label=label, generator=generator)


def auto(model: GenerativeModel) -> Likelihood:
    """The most trustworthy estimator that the model's capabilities allow.

    Raises UsageError where there is none.
    """
    return OwnLikelihood(model)
