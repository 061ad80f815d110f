"""What a model can do beside sampling: each class is a promise that the conformance suite tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts.data import Batch
from genlab.contracts.evidence import Evidence
from genlab.contracts.figures import Figure
from genlab.contracts.likelihood import Guarantee, LogLikelihood


class HasLikelihood(ABC):
    @abstractmethod
    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """x: (B, *shape). Dequantisation and Jacobians are included."""


class HasImportanceWeights(ABC):
    @abstractmethod
    def log_weights(self, x: Tensor, k: int, *, generator: Generator) -> Tensor:
        """(K, B) with E[w] = p(x)."""


class AnnealingPath(ABC):
    """f_beta over a model's own states: f_0 has a known constant, f_1 is the model's energy."""

    log_z0: float

    @abstractmethod
    def start(self, n: int, *, generator: Generator) -> Any:
        """n states drawn from f_0 exactly."""

    @abstractmethod
    def log_f(self, state: Any, beta: float) -> Tensor: ...

    @abstractmethod
    def transition(self, state: Any, beta: float, *, generator: Generator) -> Any:
        """Leaves f_beta invariant and is reversible, so that it serves reverse annealing too."""

    @abstractmethod
    def log_z1(self) -> float | None:
        """By summing out the smaller side; None where that has more than 25 units."""


class HasEnergy(ABC):
    unnormalised: Guarantee  # of log_unnormalised - log Z: EXACT (RBM) or LOWER_BOUND (DBN)

    @abstractmethod
    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        """(K, B) with E[w] = Z p(x)."""

    @abstractmethod
    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath: ...


class HasVelocity(ABC):
    """A probability-flow ODE dz/dt = velocity(z, t) between the embedded data and a base distribution."""

    span: tuple[float, float]
    base: torch.distributions.Distribution

    @abstractmethod
    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor: ...

    @abstractmethod
    def embed(self, x: Tensor, *, generator: Generator) -> tuple[Tensor, Tensor]:
        """z and log|det| (B,), dequantisation and scaling included."""


class HasEncoder(ABC):
    @abstractmethod
    def encode(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor: ...


class Completes(ABC):
    completes: frozenset[type]  # the kinds of evidence this model can condition on

    @abstractmethod
    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): n draws from p(x) r(x) for each of the B pieces of evidence."""


class HasFigures(ABC):
    @abstractmethod
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]: ...
