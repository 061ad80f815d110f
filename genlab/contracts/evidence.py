"""What is known of a datum: what multiplies the model's distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Observed:
    """Evidence: the entries of x: (B, *shape) where mask: (B, *shape) bool is True are known."""

    x: Tensor
    mask: Tensor

    def log_r(self, x: Tensor) -> Tensor:
        """(B,): 0 where x agrees with what was observed, else -inf."""
        agrees = ((x == self.x) | ~self.mask).flatten(1).all(1)
        return torch.zeros(len(x), device=x.device).masked_fill(~agrees, -math.inf)


@dataclass(frozen=True)
class Noisy:
    """Evidence: y = x + sigma · noise, (B, *shape)."""

    y: Tensor
    sigma: float

    def log_r(self, x: Tensor) -> Tensor:
        """(B,) up to a constant: the Gaussian log-density of y given x."""
        return -((self.y - x) / self.sigma).square().flatten(1).sum(1) / 2


@dataclass(frozen=True)
class Pooled:
    """Evidence: y: (B, C, H / factor, W / factor) are the means over factor × factor patches of x."""

    y: Tensor
    factor: int

    def log_r(self, x: Tensor) -> Tensor:
        """(B,): 0 where the patch means of x are y (to 1e-4), else -inf."""
        agrees = (
            ((nn.functional.avg_pool2d(x, self.factor) - self.y).abs() < 1e-4).flatten(1).all(1)
        )
        return torch.zeros(len(x), device=x.device).masked_fill(~agrees, -math.inf)


Evidence = Observed | Noisy | Pooled
