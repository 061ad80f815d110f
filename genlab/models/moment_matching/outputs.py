"""What the numbers θ: (…, *shape) that a network gives mean as data, after the support."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from genlab.contracts import DataSpec, Support


class Output(ABC):
    @abstractmethod
    def mean(self, theta: Tensor) -> Tensor:
        """E[x] given θ, before any rounding."""

    @abstractmethod
    def draw(self, theta: Tensor, generator: Generator | None = None) -> Tensor:
        """x inside the support; from the default generator where none is given."""

    @abstractmethod
    def matched(self, theta: Tensor) -> Tensor:
        """What is set against data in training, with a gradient in θ."""

    @abstractmethod
    def marginal(self, x: Tensor) -> Tensor:
        """(*shape): the θ whose mean is that of data x: (N, *shape), with half a count added."""


class Levels(Output):
    """sigmoid(θ), rounded to the nearest level."""

    def __init__(self, levels: int) -> None:
        self.steps = levels - 1

    def mean(self, theta: Tensor) -> Tensor:
        return theta.float().sigmoid()

    def draw(self, theta: Tensor, generator: Generator | None = None) -> Tensor:
        return (self.mean(theta) * self.steps).round() / self.steps

    def matched(self, theta: Tensor) -> Tensor:
        return self.mean(theta)

    def marginal(self, x: Tensor) -> Tensor:
        return ((x.sum(0) + 0.5) / (len(x) + 1)).logit()


class Bits(Output):
    """Bernoulli with logits θ.

    Drawn bits pass the gradient on to their probabilities as if they were these (straight-through:
    Y. Bengio, N. Léonard, A. Courville: Estimating or propagating gradients through stochastic neurons.
    2013, arXiv:1308.3432).
    """

    def mean(self, theta: Tensor) -> Tensor:
        return theta.float().sigmoid()

    def draw(self, theta: Tensor, generator: Generator | None = None) -> Tensor:
        u = torch.rand(theta.shape, generator=generator, device=theta.device)
        return (u < self.mean(theta)).float()

    def matched(self, theta: Tensor) -> Tensor:
        p = self.mean(theta)
        return self.draw(theta.detach()) + p - p.detach()

    def marginal(self, x: Tensor) -> Tensor:
        return ((x.sum(0) + 0.5) / (len(x) + 1)).logit()


class Reals(Output):
    """θ itself."""

    def mean(self, theta: Tensor) -> Tensor:
        return theta.float()

    def draw(self, theta: Tensor, generator: Generator | None = None) -> Tensor:
        return self.mean(theta)

    def matched(self, theta: Tensor) -> Tensor:
        return self.mean(theta)

    def marginal(self, x: Tensor) -> Tensor:
        return x.mean(0)


def output_for(spec: DataSpec) -> Output:
    if spec.support is Support.BINARY:
        return Bits()
    return Reals() if spec.levels is None else Levels(spec.levels)
