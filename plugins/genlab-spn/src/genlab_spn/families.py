"""Exponential families p(x) = exp <T(x), η>, of leaves and of the choices that sums make.

T are the statistics of a value, η the natural parameters with the log-normaliser among them, so that T
holds or sums to a constant one. An entry that is not observed has T = 0 and with it p = 1: this is all of
marginalisation. Since each log p is linear in its η, the derivative of the log-likelihood of a whole
network by η are the expected statistics of the EM algorithm, and the M-step puts the mean μ = E[T] where
the normalised statistics are. A family knows the
way between its parameters θ, which are free, and η and μ. The dimension of T stands last but one, and the
last one counts distributions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import DataSpec, Support
from genlab.nn.heads import Categorical
from genlab.nn.independent import Gaussian

# EM makes no probability smaller, so that none is lost for ever, and takes fewer expected data for none
RAREST = 1e-12


class Family(ABC):
    """params: how many numbers θ has."""

    params: int

    @abstractmethod
    def statistics(self, x: Tensor) -> Tensor:
        """(…, F): T of x: (…)."""

    @abstractmethod
    def natural(self, theta: Tensor) -> Tensor:
        """(…, F, K): η of theta: (…, params, K)."""

    @abstractmethod
    def mean(self, theta: Tensor) -> Tensor:
        """(…, F, K): E[T] of theta: (…, params, K)."""

    @abstractmethod
    def parameters(self, mean: Tensor) -> Tensor:
        """(…, params, K): θ of mean: (…, F, K), the maximum-likelihood estimate."""

    @abstractmethod
    def total(self, statistics: Tensor) -> Tensor:
        """(…, 1, K): how many values have been added up in statistics: (…, F, K)."""

    @abstractmethod
    def initial(self, *shape: int) -> Tensor:
        """(*shape) random θ to start from; shape ends with params, K."""

    @abstractmethod
    def sample(self, theta: Tensor, generator: Generator) -> Tensor:
        """(…) values of theta: (…, params)."""

    def step(self, theta: Tensor, expected: Tensor, size: float) -> Tensor:
        """θ after an EM step towards expected statistics: (…, F, K); 1 is a whole step.

        Where next to nothing was expected (an empty region, a dead branch) θ stays.
        """
        total, old = self.total(expected), self.mean(theta)
        mean = torch.where(total > RAREST, expected / total.clamp_min(RAREST), old)
        return self.parameters(torch.lerp(old, mean, size)).to(theta.dtype)


class Choice(Family):
    """One of L values, x in {0, 1/(L-1), …, 1}; θ are logits, η log-probabilities, T is one-hot."""

    def __init__(self, values: int) -> None:
        self.params = values

    def statistics(self, x: Tensor) -> Tensor:
        return F.one_hot((x * (self.params - 1)).round().long(), self.params).float()

    def natural(self, theta: Tensor) -> Tensor:
        return theta.log_softmax(-2)

    def mean(self, theta: Tensor) -> Tensor:
        return theta.softmax(-2)

    def parameters(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(RAREST).log()

    def total(self, statistics: Tensor) -> Tensor:
        return statistics.sum(-2, keepdim=True)

    def initial(self, *shape: int) -> Tensor:
        return torch.randn(*shape)

    def sample(self, theta: Tensor, generator: Generator) -> Tensor:
        return Categorical(self.params).sample(theta.double(), generator).float()


class Normal(Family):
    """x real; θ = (m, log(v - floor)), T = (1, x, x²), η = (-m²/2v - log(2πv)/2, m/v, -1/2v).

    floor: v is always greater. In float64: terms of <T, η> are larger than their sum.
    """

    params = 2

    def __init__(self, floor: float) -> None:
        self.floor = floor

    def _moments(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        m, log_excess = theta.double().unbind(-2)
        return m, self.floor + log_excess.exp()

    def statistics(self, x: Tensor) -> Tensor:
        x = x.double()
        return torch.stack([torch.ones_like(x), x, x.square()], -1)

    def natural(self, theta: Tensor) -> Tensor:
        m, v = self._moments(theta)
        constant = -m.square() / (2 * v) - (2 * math.pi * v).log() / 2
        return torch.stack([constant, m / v, -0.5 / v], -2)

    def mean(self, theta: Tensor) -> Tensor:
        m, v = self._moments(theta)
        return torch.stack([torch.ones_like(m), m, m.square() + v], -2)

    def parameters(self, mean: Tensor) -> Tensor:
        _, m, square = mean.unbind(-2)
        excess = square - m.square() - self.floor
        return torch.stack([m, excess.clamp_min(1e-3 * self.floor).log()], -2)

    def total(self, statistics: Tensor) -> Tensor:
        return statistics[..., :1, :]

    def initial(self, *shape: int) -> Tensor:
        theta = torch.randn(*shape)
        theta[..., 1, :] = 0.0
        return theta

    def sample(self, theta: Tensor, generator: Generator) -> Tensor:
        m, v = self._moments(theta.unsqueeze(-1))
        own = torch.cat([m, v.log() / 2], -1)
        return Gaussian().sample(own, generator).float()


def leaf_family(spec: DataSpec, variance_floor: float) -> Family:
    """Bernoulli on BINARY data and categorical on LEVELS, which are choices; Gaussian on REAL."""
    if spec.support is Support.REAL:
        return Normal(variance_floor)
    assert spec.levels is not None
    return Choice(spec.levels)
