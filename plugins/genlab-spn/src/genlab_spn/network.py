"""What every sum-product network can do, given its two passes: from the leaves up, and down again."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    Batch,
    Completes,
    Evidence,
    Figure,
    GenerativeModel,
    Guarantee,
    HasFigures,
    HasLikelihood,
    LogLikelihood,
    Measure,
    Observed,
    Support,
    UsageError,
)
from genlab_spn.pictures import completions


class SumProductNetwork(GenerativeModel, HasLikelihood, Completes, HasFigures):
    """A network whose sums have complete and whose products have decomposable children: one pass up gives
    the probability of whatever is observed, and one pass down exact draws of the rest.
    """

    completes = frozenset({Observed})
    guarantee = Guarantee.EXACT

    @abstractmethod
    def log_marginal(self, evidence: Observed) -> Tensor:
        """(B,) nats: log p of the observed entries alone, the others summed (or integrated) out."""

    @abstractmethod
    def _draw(self, evidence: Observed, n: int, generator: Generator) -> Tensor:
        """(n, B, *shape) exact draws given the evidence; what they hold where it observes is not used."""

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats of x: (B, *shape)."""
        return self.log_marginal(everything(x))

    def log_conditional(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B,) nats: log p(the rest of x | the entries of x where mask is True); both (B, *shape)."""
        return self.log_prob(x) - self.log_marginal(Observed(x, mask))

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """Exact: a mass on BINARY and LEVELS data, a density on REAL."""
        self.refuse_label(label)
        measure = Measure.of(self.spec)
        return LogLikelihood(self.log_prob(x), self.guarantee, measure, "sum-product network")

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood in nats."""
        return -self.log_prob(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x)}

    @torch.no_grad()
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """(n, *shape): exact draws, given nothing."""
        self.refuse_label(label)
        x = torch.zeros(1, *self.spec.shape, device=next(self.parameters()).device)
        return self._draw(Observed(x, torch.zeros_like(x, dtype=torch.bool)), n, generator)[:, 0]

    @torch.no_grad()
    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): exact draws given what is observed."""
        self.refuse_label(label)
        if not isinstance(evidence, Observed):
            kind = type(evidence).__name__
            raise UsageError(f"{type(self).__name__} completes Observed evidence, not {kind}")
        return torch.where(evidence.mask, evidence.x, self._draw(evidence, n, generator))

    @torch.no_grad()
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if self.spec.is_picture:
            bits = self.spec.support is Support.BINARY
            complete = partial(self.complete, generator=generator)
            yield completions(batch.x[:8], complete, self.log_marginal if bits else None)


def everything(x: Tensor) -> Observed:
    """All entries of x: (B, *shape) are known."""
    return Observed(x, torch.ones_like(x, dtype=torch.bool))


def known(evidence: Observed) -> Observed:
    """With zeros where nothing is observed, whatever was there: it may be no number at all."""
    return Observed(evidence.x.masked_fill(~evidence.mask, 0.0), evidence.mask)


def require_positive(**options: float) -> None:
    """Raise UsageError, naming the option, unless all of these are greater than 0, and finite."""
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise UsageError(f"model.{name}={value:g} must be greater than 0, and finite")
