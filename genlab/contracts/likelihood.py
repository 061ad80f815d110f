"""Numbers on a datum, and how far they can be trusted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from genlab.contracts.data import DataModule, DataSpec, Support
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

    @classmethod
    def of(cls, spec: DataSpec) -> Measure:
        """Of a model's distribution of such data."""
        return cls.DENSITY if spec.support is Support.REAL else cls.MASS


@dataclass(frozen=True)
class Bracket:
    """log p(x) lies between nats + low and nats + high, for every datum alike.

    two_sided: whether both ends are bounds; otherwise one of them is an estimate.
    """

    low: float
    high: float
    two_sided: bool


@dataclass(frozen=True)
class LogLikelihood:
    """log p(x) in nats per datum of x as the data module delivers it, and how far to trust it.

    nats: (B,). given: "" or "label", what was conditioned on. shared: (low, high) nats to be added, the
    confidence interval of an error common to all data, such as that of log Z, which does not shrink with
    more data. bracket: what is known of that error from both sides.
    diagnostics: effective sample size, sd(log w), terms of a bound (each a (B,) tensor or a float), …
    problem: why the estimator distrusts itself and what to raise; reports then print this, and no mean.
    """

    nats: Tensor
    guarantee: Guarantee
    measure: Measure
    method: str
    given: str = ""
    shared: tuple[float, float] | None = None
    bracket: Bracket | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Likelihood(nn.Module, ABC):
    """An estimator of log p(x) of a model, built as ``Estimator(model, …)``.

    It refuses, with a UsageError when it is built, a model that lacks what it needs.
    """

    name: ClassVar[str]  # as in configs/likelihood

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything beside the seed that decides its numbers, as JSON: part of a score's identity."""

    def prepare(self, data: DataModule, *, generator: Generator) -> None:
        """Compute once what all data share (log Z, widths) and keep it in buffers of its own, of whatever
        shape. ``data`` has been set up. Every process calls it, with a generator in the same state: they
        may share out its work (``genlab.together``), and rank 0's buffers are what all of them keep."""

    @abstractmethod
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """log p(x), or log p(x | label) with ``given="label"``, of x: (B, *shape); label: (B,) int64."""
