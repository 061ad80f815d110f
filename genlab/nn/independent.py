"""The independent model: p(x) = Π_d p(x_d), each entry with the marginal of the training data."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from genlab.contracts import DataSpec, Support
from genlab.nn.heads import Head, head_for


class Gaussian(Head):
    """x real; θ = (mean, log σ), and log-probabilities are densities."""

    params = 2

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        mean, log_sigma = theta.unbind(-1)
        z = (x - mean) * (-log_sigma).exp()
        return -z.square() / 2 - log_sigma - math.log(2 * math.pi) / 2

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        mean, log_sigma = theta.unbind(-1)
        inside = u.clamp_min(torch.finfo(u.dtype).tiny)  # u may be 0, whose quantile is -∞
        return mean + log_sigma.exp() * torch.special.ndtri(inside)

    def mean(self, theta: Tensor) -> Tensor:
        return theta[..., 0]

    def marginal(self, x: Tensor) -> Tensor:
        """(*shape, 2) float64: the mean and log σ that make x: (N, *shape) most likely."""
        x = x.double()
        return torch.stack([x.mean(0), x.std(0, correction=0).log()], -1)


def marginal_head(spec: DataSpec) -> Head:
    """The family of the marginals: Bernoulli, categorical, or on REAL data one Gaussian each."""
    return Gaussian() if spec.support is Support.REAL else head_for(spec)


def marginals(spec: DataSpec, batches: Iterable[Tensor]) -> Tensor:
    """(*shape, params): θ of ``marginal_head(spec)`` for all rows of batches, each (B, *shape), together.

    One batch at a time is looked at, so that the data may be larger than memory.
    """
    return _moments(batches) if spec.support is Support.REAL else _frequencies(spec, batches)


def _moments(batches: Iterable[Tensor]) -> Tensor:
    """As ``Gaussian.marginal``. Source: T. Chan, G. Golub, R. LeVeque, Updating formulae and a pairwise
    algorithm for computing sample variances, Stanford STAN-CS-79-773, 1979."""
    n, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for x in batches:
        x, total = x.double(), n + len(x)
        ahead = x.mean(0) - mean.to(x)
        within = (x - x.mean(0)).square().sum(0)
        squares = squares.to(x) + within + ahead.square() * (n * len(x) / total)
        mean, n = mean.to(x) + ahead * (len(x) / total), total
    return torch.stack([mean, (squares / n).log() / 2], -1)


def _frequencies(spec: DataSpec, batches: Iterable[Tensor]) -> Tensor:
    """As ``Bernoulli.marginal`` and ``Categorical.marginal``: half a count is added to each level."""
    assert spec.levels is not None
    n, counts = 0, torch.zeros(spec.size * spec.levels, dtype=torch.int64)
    for x in batches:
        level = (x.flatten(1) * (spec.levels - 1)).round().long()
        cell = level + spec.levels * torch.arange(spec.size, device=x.device)
        counts = counts.to(x.device) + cell.flatten().bincount(minlength=len(counts))
        n += len(x)
    p = (counts.double() + 0.5) / (n + 0.5 * spec.levels)
    log_p = p.log().float().view(*spec.shape, spec.levels)
    return log_p.diff(dim=-1) if spec.support is Support.BINARY else log_p
