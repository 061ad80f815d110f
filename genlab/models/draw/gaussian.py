"""Gaussians with independent entries, of which the distributions of z are."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


class Gaussian(NamedTuple):
    """mean: (B, Z). log_sigma: (B, Z)."""

    mean: Tensor
    log_sigma: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """(B, Z) the draw that standard noise: (B, Z) makes."""
        return self.mean + self.log_sigma.exp() * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """(B,) nats."""
        error = (z - self.mean) * (-self.log_sigma).exp()
        return -(error.square() / 2 + self.log_sigma + LOG_2PI / 2).sum(1)

    def divergence(self, other: Gaussian) -> Tensor:
        """(B,) nats: KL(self || other)."""
        log_ratio = self.log_sigma - other.log_sigma
        error = (self.mean - other.mean) * (-other.log_sigma).exp()
        return (((2 * log_ratio).exp() + error.square() - 1) / 2 - log_ratio).sum(1)


def of(numbers: Tensor) -> Gaussian:
    """numbers: (B, 2 Z), in float32 at least."""
    full = numbers.to(torch.promote_types(numbers.dtype, torch.float32))
    return Gaussian(*full.chunk(2, dim=1))
