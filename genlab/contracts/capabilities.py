"""What a model can do beside sampling: each class is a promise that the conformance suite tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Generator, Tensor

from genlab.contracts.data import Batch
from genlab.contracts.evidence import Evidence
from genlab.contracts.figures import Figure
from genlab.contracts.likelihood import Guarantee, LogLikelihood


class HasLikelihood(ABC):
    """guarantee: of every number that ``log_likelihood`` gives; known before any data are read."""

    guarantee: Guarantee

    @abstractmethod
    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """x: (B, *shape). Dequantisation and Jacobians are included."""


class HasImportanceWeights(ABC):
    """proposal: what the draws come from, where a score should say so: a poor one leaves a loose bound."""

    proposal: str = ""

    @abstractmethod
    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(K, B) with E[w] = p(x)."""


State = tuple[Tensor, ...]  # of n chains: whatever a path keeps of each, all of shape (n, …)


class AnnealingPath(ABC):
    """f_beta over a model's own states: f_0 has a known constant, f_1 is the model's energy.

    log_z0: log of the sum of f_0 over all states.
    """

    log_z0: float

    @abstractmethod
    def start(self, n: int, *, generator: Generator) -> State:
        """n states drawn from f_0 exactly."""

    @abstractmethod
    def end(self, n: int, *, generator: Generator) -> State | None:
        """n states drawn from f_1 exactly; None where that cannot be done."""

    @abstractmethod
    def log_f(self, state: State, beta: float) -> Tensor:
        """(n,) log f_beta of each state."""

    @abstractmethod
    def transition(self, state: State, beta: float, *, generator: Generator) -> State:
        """Leaves f_beta invariant and is reversible, so that it serves reverse annealing too."""


ENUMERABLE = 25  # binary units that can be summed out: 2^25 terms, some minutes


class HasEnergy(ABC):
    """unnormalised: of log_unnormalised - log Z, EXACT (RBM) or LOWER_BOUND (DBN).

    summable: over how many binary units ``log_z`` sums, 2^summable terms; None where it cannot, or they
    are more than ``ENUMERABLE``.
    """

    unnormalised: Guarantee
    summable: int | None

    @abstractmethod
    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        """(K, B) with E[w] = Z p(x)."""

    @abstractmethod
    def log_z(self) -> float:
        """Exact, by summing out the smaller side in float64. Only called where ``summable`` is a number."""

    @abstractmethod
    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath:
        """x_train: (N, *shape), from which base rates are taken."""


class HasVelocity(ABC):
    """A probability-flow ODE dz/dt = velocity(z, t) from embedded data to a base distribution.

    span: the times of embedded data and of the base, in this order. Rows of a batch do not see each other.
    """

    span: tuple[float, float]

    @abstractmethod
    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor:
        """(B, …) dz/dt at z: (B, …) and time t; differentiable in z."""

    @abstractmethod
    def embed(self, x: Tensor, *, generator: Generator) -> tuple[Tensor, Tensor]:
        """z: (B, …) and log_scale: (B,) with p(x) = E[exp(log_scale) p(z)].

        On REAL data log_scale is log|det dz/dx|; on discrete data z is drawn (dequantisation).
        """

    @abstractmethod
    def base_log_prob(self, z: Tensor) -> Tensor:
        """(B,) log density (nats) of z: (B, …) under the base distribution."""


class HasEncoder(ABC):
    """A map to codes and back. Neither draws anything, and rows of a batch do not see each other."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """z: (B, …), the code of x: (B, *shape): the same for the same x, always."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape), the mean of x given z: (B, …), in the units of the data.

        On BINARY data these are probabilities in [0, 1]. On LEVELS and REAL data they need not lie in the
        support: a mean is no level, and that of a linear decoder may overshoot.
        """


class Classifies(ABC):
    """classifies: False where the model was built without what it takes, such as label units."""

    classifies: bool = True

    @abstractmethod
    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        """(B, spec.classes) nats: log p(label | x) of x: (B, *shape), normalised over the classes.

        Rows of a batch do not see each other. Only called where ``classifies``.
        """


class Completes(ABC):
    """Draws given what is known of a datum. completes: the classes of evidence that it takes, of
    ``Observed``, ``Noisy`` and ``Pooled``.
    """

    completes: frozenset[type]

    @abstractmethod
    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): n draws from p(x) r(x) for each of the B pieces of evidence."""


class TakesSampler(ABC):
    """Draws by other samplers than its own too, and with guidance towards a label. Its likelihood describes
    none of these samples.
    """

    @property
    @abstractmethod
    def samplers(self) -> Sequence[Any]:
        """One of each kind that is for it, of a few steps: the conformance suite draws by each."""

    @abstractmethod
    def sample_by(
        self,
        sampler: Any | None,
        n: int,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Tensor:
        """(n, *spec.shape) inside spec.support. sampler: None is its own, and draws what ``sample`` draws.
        guidance: how much of the label's influence is taken, 1 for what was learned.

        Raises UsageError for a sampler that is not for it, and for guidance that is not finite or goes
        with no label.
        """


class HasFigures(ABC):
    """Pictures that only this model can show, as numbers: the gallery draws them."""

    @abstractmethod
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        """Figures with names of their own. batch: some test data, which they may show or work on."""
