"""Output distributions: what a network's numbers mean as a distribution of each entry of a datum.

A head turns θ: (B, *shape, params) into a distribution of x: (B, *shape), entry by entry. Heads hold
no weights. All numbers are nats, and log-probabilities are masses of the discrete entry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import DataSpec, Support, UnsupportedData


class Head(ABC):
    """A family of distributions of one entry, given ``params`` numbers."""

    params: int

    @abstractmethod
    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """(B, *shape) nats per entry, of x: (B, *shape) under theta: (B, *shape, params)."""

    @abstractmethod
    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        """x: (B, *shape) by inverting the distribution function at u: (B, *shape) in [0, 1)."""

    @abstractmethod
    def mean(self, theta: Tensor) -> Tensor:
        """E[x]: (B, *shape)."""

    @abstractmethod
    def marginal(self, x: Tensor) -> Tensor:
        """(*shape, params): θ of the independent model of x: (N, *shape), smoothed by half a count."""

    def sample(self, theta: Tensor, generator: Generator) -> Tensor:
        u = torch.rand(theta.shape[:-1], generator=generator, device=theta.device)
        return self.quantile(u, theta)


class Bernoulli(Head):
    """x in {0, 1}; θ is the logit of x = 1."""

    params = 1

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        logit = theta.squeeze(-1)
        return x * logit - F.softplus(logit)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        return (u < theta.squeeze(-1).sigmoid()).float()

    def mean(self, theta: Tensor) -> Tensor:
        return theta.squeeze(-1).sigmoid()

    def marginal(self, x: Tensor) -> Tensor:
        p = (x.sum(0) + 0.5) / (len(x) + 1)
        return p.logit().unsqueeze(-1)


class Categorical(Head):
    """x in {0, 1/(L-1), …, 1}; θ are the L logits of the levels."""

    def __init__(self, levels: int) -> None:
        self.params = self.levels = levels

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        level = (x * (self.levels - 1)).round().long().unsqueeze(-1)
        return theta.log_softmax(-1).gather(-1, level).squeeze(-1)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        below = theta.softmax(-1).cumsum(-1)[..., :-1] <= u.unsqueeze(-1)
        return below.sum(-1) / (self.levels - 1)

    def mean(self, theta: Tensor) -> Tensor:
        value = torch.linspace(0, 1, self.levels, device=theta.device)
        return (theta.softmax(-1) * value).sum(-1)

    def marginal(self, x: Tensor) -> Tensor:
        level = (x * (self.levels - 1)).round().long().flatten(1)
        cell = level + self.levels * torch.arange(level.shape[1], device=x.device)
        counts = cell.flatten().bincount(minlength=self.levels * level.shape[1])
        p = (counts.float() + 0.5) / (len(x) + 0.5 * self.levels)
        return p.log().view(*x.shape[1:], self.levels)


def head_for(spec: DataSpec) -> Head:
    """The default head of a support: Bernoulli on BINARY, categorical on LEVELS."""
    if spec.support is Support.BINARY:
        return Bernoulli()
    if spec.support is Support.LEVELS and spec.levels is not None:
        return Categorical(spec.levels)
    raise UnsupportedData(
        f"no discrete output distribution for {spec.support.name} data ({spec.name})"
    )
