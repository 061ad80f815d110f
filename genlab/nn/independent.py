"""The independent model: p(x) = Π_d p(x_d), each entry with the marginal of the training data."""

from __future__ import annotations

import math

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
