"""Numbers on a datum, and how far they can be trusted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from torch import Generator, Tensor, nn

from genlab.contracts.data import DataModule
from genlab.contracts.training import GenerativeModel


class Guarantee(StrEnum):
    """How a number relates to log p(x) of the model."""

    EXACT = "exact"  # equal, up to rounding
    LOWER_BOUND = "lower bound"  # at most, in expectation over the estimator's own randomness
    UPPER_BOUND = "upper bound"  # at least, likewise: AIS on an exact energy
    ESTIMATE = "estimate"  # no one-sided promise


class Measure(StrEnum):
    """What exp(nats) is. Numbers of different measure are never put in one column."""

    MASS = "mass"
    DENSITY = "density"


@dataclass(frozen=True)
class LogLikelihood:
    """log p(x) in nats per datum of x as the data module delivers it, and how far to trust it.

    nats: (B,). given: "" or "label", what was conditioned on. shared: the interval (nats) of an error
    common to all data, such as that of log Z, which does not shrink with more data.
    diagnostics: effective sample size, sd(log w), terms of a bound (each a (B,) tensor or a float), …
    converged: False where the estimator found reason to distrust itself; reports then print no mean.
    """

    nats: Tensor
    guarantee: Guarantee
    measure: Measure
    method: str
    given: str = ""
    shared: tuple[float, float] | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)
    converged: bool = True


class Likelihood(nn.Module, ABC):
    """An estimator of log p(x) of a model; what ``prepare`` computes (log Z, widths) is in buffers."""

    def prepare(self, model: GenerativeModel, data: DataModule, *, generator: Generator) -> None:
        """Compute once what all data share. Called on rank 0 and broadcast."""

    @abstractmethod
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood: ...
