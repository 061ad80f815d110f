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
        if isinstance(self.model, HasLikelihood):
            return self.model.log_likelihood(x, label=label, generator=generator)
        assert isinstance(self.model, HasImportanceWeights)
        nats = self.model.log_weights(x, 1, label=label, generator=generator)[0]
        measure = Measure.of(self.model.spec)
        return LogLikelihood(nats, Guarantee.LOWER_BOUND, measure, method="ELBO")
