"""What a model says of log p(x) by itself."""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor

from genlab.contracts import (
    GenerativeModel,
    Guarantee,
    HasImportanceWeights,
    HasLikelihood,
    Likelihood,
    LogLikelihood,
    Measure,
)
from genlab.likelihood.needs import require


class Exact(Likelihood):
    """The model's own log p(x), which is exact."""

    name = "exact"

    def __init__(self, model: GenerativeModel) -> None:
        require(self.name, model)
        super().__init__(model)

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        assert isinstance(self.model, HasLikelihood)
        return self.model.log_likelihood(x, label=label, generator=generator)


class Elbo(Likelihood):
    """The model's own lower bound, or the logarithm of a single importance weight."""

    name = "elbo"

    def __init__(self, model: GenerativeModel) -> None:
        require(self.name, model)
        super().__init__(model)

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        model = self.model
        if isinstance(model, HasLikelihood) and model.guarantee is Guarantee.LOWER_BOUND:
            return model.log_likelihood(x, label=label, generator=generator)
        assert isinstance(model, HasImportanceWeights)
        return LogLikelihood(
            model.log_weights(x, 1, label=label, generator=generator)[0],
            Guarantee.LOWER_BOUND,
            Measure.of(model.spec),
            method="ELBO",
            given="" if label is None else "label",
        )
