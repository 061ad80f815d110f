"""Populations of weighted particles: one for each draw that is wanted.

Sequential Monte Carlo keeps K particles in each of S populations. A particle's weight says how much of
the target it stands for; where few carry it all, the population is drawn anew in proportion to it. The
mean weight is an unbiased estimate of the target's constant, and a particle drawn by weight at the end
is a draw of the target as K grows (Doucet, de Freitas, Gordon: Sequential Monte Carlo Methods in
Practice. 2001).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

LEAST_ESS = 0.5  # of the particles of a population, below which it is drawn anew


class Population:
    """log_w: (S, K) float64, of particles whose states are rows s·K + k of what the caller keeps."""

    def __init__(self, systems: int, particles: int, generator: Generator) -> None:
        self.generator = generator
        self.log_w = torch.zeros(systems, particles, dtype=torch.float64, device=generator.device)

    def weigh(self, log_w: Tensor) -> None:
        """Multiply the weights; log_w: (S·K,)."""
        self.log_w = self.log_w + log_w.double().view_as(self.log_w)

    def survivors(self) -> Tensor | None:
        """(S·K,) rows to go on with, after which the weights are equal; None where no population is
        poor.
        """
        weight = self.weights()
        ess = 1 / (weight.square().sum(1) * weight.shape[1])
        poor = ess < LEAST_ESS
        if not poor.any():
            return None
        rows = torch.arange(weight.numel(), device=weight.device).view_as(weight).clone()
        rows[poor] = rows[poor, :1] + self._systematic(weight[poor])
        self.log_w[poor] = 0.0
        return rows.flatten()

    def one_of_each(self) -> Tensor:
        """(S,) a row of each population, drawn by weight."""
        k = torch.multinomial(self.weights(), 1, generator=self.generator).squeeze(1)
        return k + torch.arange(len(k), device=k.device) * self.log_w.shape[1]

    def weights(self) -> Tensor:
        """(S, K), each row of which sums to one; equal where all are zero."""
        lost = self.log_w.isneginf().all(1, keepdim=True)
        return torch.where(lost, 0.0, self.log_w).softmax(1)

    def _systematic(self, weight: Tensor) -> Tensor:
        """(P, K) how often each comes again, with one random number for a population."""
        p, k = weight.shape
        u = torch.rand(p, 1, generator=self.generator, dtype=weight.dtype, device=weight.device)
        points = (torch.arange(k, device=weight.device) + u) / k
        return torch.searchsorted(weight.cumsum(1), points).clamp(max=k - 1)
