"""The independent model: every entry has the marginal of the training data, whatever the others are.

p(x) = Π_d p(x_d), with p(x_d) Bernoulli on BINARY data, categorical on LEVELS (half a count is added to
each value) and Gaussian on REAL. It learns nothing of how entries depend on each other: the floor of
every table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import (
    Batch,
    Completes,
    DataSpec,
    Evidence,
    GenerativeModel,
    Guarantee,
    HasLikelihood,
    LogLikelihood,
    Measure,
    Observed,
    Stage,
    UsageError,
)
from genlab.nn.independent import marginal_head, marginals


class Independent(GenerativeModel, HasLikelihood, Completes):
    """Independent entries with the marginals of the training data, in closed form."""

    completes = frozenset({Observed})
    guarantee = Guarantee.EXACT

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.head = marginal_head(spec)
        self.theta = nn.Parameter(torch.zeros(*spec.shape, self.head.params))

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, solve=self.solve),)

    def solve(self, batches: Iterable[Batch]) -> None:
        self.theta.copy_(marginals(self.spec, (batch.x for batch in batches)))

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood in nats."""
        return -self.log_prob(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x)}

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats of x: (B, *shape)."""
        return self.head.log_prob(x, self._theta(len(x))).flatten(1).sum(1)

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """Exact: a mass on BINARY and LEVELS data, a density on REAL."""
        self.refuse_label(label)
        measure = Measure.of(self.spec)
        return LogLikelihood(
            self.log_prob(x), self.guarantee, measure, method="independent entries"
        )

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        return self.head.sample(self._theta(n), generator)

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): what was observed says nothing of the rest, which is drawn as ever."""
        if not isinstance(evidence, Observed):
            raise UsageError(
                f"Independent completes Observed evidence, not {type(evidence).__name__}"
            )
        drawn = self.sample(n * len(evidence.x), label=label, generator=generator)
        return torch.where(evidence.mask, evidence.x, drawn.unflatten(0, (n, -1)))

    def _theta(self, n: int) -> Tensor:
        """(n, *shape, params)"""
        return self.theta.expand(n, *self.theta.shape)
