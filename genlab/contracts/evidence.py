"""What is known of a datum: what multiplies the model's distribution."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Evidence(ABC):
    """B pieces of evidence, in tensors (B, …)."""

    @abstractmethod
    def log_r(self, x: Tensor) -> Tensor:
        """(…, B) log r(x), up to a constant, of x: (…, B, *shape)."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """With every tensor changed: moved, or other rows of it taken."""
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **{k: change(v) for k, v in tensors.items()})

    def __len__(self) -> int:
        """B"""
        return len(next(v for v in vars(self).values() if isinstance(v, Tensor)))


@dataclass(frozen=True)
class Observed(Evidence):
    """The entries of x: (B, *shape) where mask: (B, *shape) bool is True are known."""

    x: Tensor
    mask: Tensor

    def log_r(self, x: Tensor) -> Tensor:
        """0 where x agrees with what was observed, else -inf."""
        return _log_indicator(((x == self.x) | ~self.mask).flatten(1 - self.x.dim()).all(-1))


@dataclass(frozen=True)
class Noisy(Evidence):
    """y = x + sigma · noise, (B, *shape)."""

    y: Tensor
    sigma: float

    def log_r(self, x: Tensor) -> Tensor:
        """The Gaussian log-density of y given x, up to a constant."""
        return -((self.y - x) / self.sigma).square().flatten(1 - self.y.dim()).sum(-1) / 2


@dataclass(frozen=True)
class Pooled(Evidence):
    """y: (B, C, H / factor, W / factor) are the means over factor × factor patches of x."""

    y: Tensor
    factor: int

    def log_r(self, x: Tensor) -> Tensor:
        """0 where the patch means of x: (…, B, C, H, W) are y (to 1e-4), else -inf."""
        means = nn.functional.avg_pool2d(x.flatten(0, -4), self.factor).view(
            *x.shape[:-3], *self.y.shape[1:]
        )
        return _log_indicator(((means - self.y).abs() < 1e-4).flatten(-3).all(-1))


def _log_indicator(holds: Tensor) -> Tensor:
    return torch.zeros(holds.shape, device=holds.device).masked_fill(~holds, -math.inf)
