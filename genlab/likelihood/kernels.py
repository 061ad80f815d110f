"""Kernels p(x | s), which smooth a sample s into a distribution of data, after the support.

n samples s_i make the mixture p(x) = 1/n Σ_i p(x | s_i). All that is expensive in it is a matrix
product:

| kernel | p(x given s) | by |
|---|---|---|
| ``BitFlip`` | Π_d (1-ε) where x_d = s_d, else ε | the Hamming distance, which is the squared one of bits |
| ``Gaussian`` | Π_d N(x_d; s_d, σ²) | the squared distance x² + s² - 2 x·s |
| ``LevelCells`` | Π_d of N(s_d, σ²) integrated over the cell of x_d | a low-rank table of L × L levels |

The first and the last are masses, which sum to one over the support; the second is a density.

Hamming distances are exact in float32. Squared ones are float64, at less than twice the cost: float32 errs
by 1e-4 on a distance of 100, and half of that over σ² = 0.03 is 2e-3 nats. Sums over samples are float64.
Blocks have fixed sizes, so that no number depends on how much memory there is.

J. Aitchison, C. G. G. Aitken: Multivariate binary discrimination by the kernel method. Biometrika 63,
1976, https://doi.org/10.1093/biomet/63.3.413 (BitFlip). E. Parzen: On estimation of a probability
density function and mode. Annals of Mathematical Statistics 33, 1962,
https://doi.org/10.1214/aoms/1177704472 (Gaussian).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from genlab.blocks import BLOCK
from genlab.contracts import DataSpec, Support
from genlab.nn.precision import products

COLUMNS = (
    1024  # samples at a time: a block of distances, 64 × 1024 float64, stays in a processor's cache
)
ENTRIES = 2**20  # of the features of as many samples as are taken at a time, 8 MiB
TOLERANCE = 1e-6  # nats per datum by which the low-rank table of levels may be wrong


class Kernel(ABC):
    """p(x | s) for given samples. A width is ε for ``BitFlip`` and σ, in units of x, for the others."""

    @abstractmethod
    def log_mixture(self, x: Tensor, widths: Sequence[float]) -> Tensor:
        """(W, B) float64 nats of x: (B, D) under the mixture over all samples, for each width.

        A row of x that is not finite has the value NaN.
        """


class _ByDistance(Kernel):
    """log p(x | s) = log_norm - rate · |x - s|²: one block of distances serves all widths.

    precision: in which x·s is computed.
    """

    precision: ClassVar[torch.dtype]

    def __init__(self, samples: Tensor) -> None:
        """samples: (n, D)."""
        self.samples = samples.to(self.precision)
        self.squares = _squares(samples)

    @abstractmethod
    def rate(self, width: float) -> float: ...

    @abstractmethod
    def log_norm(self, width: float) -> float: ...

    def log_mixture(self, x: Tensor, widths: Sequence[float]) -> Tensor:
        rates = [self.rate(width) for width in widths]
        sums = torch.full((len(widths), len(x)), -math.inf, dtype=torch.float64, device=x.device)
        for s, s2 in zip(self.samples.split(COLUMNS), self.squares.split(COLUMNS), strict=True):
            for block, total in zip(x.split(BLOCK), sums.split(BLOCK, dim=1), strict=True):
                total.copy_(torch.logaddexp(total, self._sums(block, s, s2, rates)))
        norm = [self.log_norm(width) - math.log(len(self.samples)) for width in widths]
        return sums + sums.new_tensor(norm)[:, None]

    def _sums(self, x: Tensor, s: Tensor, squares: Tensor, rates: Sequence[float]) -> Tensor:
        """(W, B) log of the sum over samples s: (n, D) with their squares: (n,), without the constants."""
        xs = products(x.to(self.precision), s)
        distance = (_squares(x)[:, None] + squares).sub_(xs, alpha=2)
        return torch.stack([log_sum(distance * -rate) for rate in rates])


def _squares(x: Tensor) -> Tensor:
    return x.double().square().sum(1)


class BitFlip(_ByDistance):
    """Each bit of a sample is flipped with probability ε."""

    precision = torch.float32

    def rate(self, width: float) -> float:
        return math.log((1 - width) / width)

    def log_norm(self, width: float) -> float:
        return self.samples.shape[1] * math.log1p(-width)


class Gaussian(_ByDistance):
    """A density with the same standard deviation σ along every axis."""

    precision = torch.float64

    def rate(self, width: float) -> float:
        return 0.5 / width**2

    def log_norm(self, width: float) -> float:
        return -0.5 * self.samples.shape[1] * math.log(2 * math.pi * width**2)


class LevelCells(Kernel):
    """A Gaussian around each entry of a sample, integrated over the cells of the levels.

    The cell of level k reaches from k - 1/2 to k + 1/2 levels; the first and last are open-ended, so the
    masses of the levels sum to one. With the table T[k, j] = log p(k | j) ≈ Σ_r U[k, r] V[r, j],
    log p(x | s) = Σ_d T[x_d, s_d] is a product of D·r numbers of x and of s. Two Gaussians are
    nearly of rank 3: of 256 levels r is 5 from σ = 0.1 up, and 44 at 0.01. A product costs r times as
    much as a squared distance, and each width needs its own: 0.2 s of one core for 64 images of MNIST
    against 10,000, ten times as much as the Gaussian.
    """

    def __init__(self, samples: Tensor, levels: int) -> None:
        self.levels = levels
        self.samples = self._level(samples)

    def log_mixture(self, x: Tensor, widths: Sequence[float]) -> Tensor:
        level = self._level(x)
        nats = torch.stack([self._sums(level, width) for width in widths])
        return (nats - math.log(len(self.samples))).where(x.isfinite().all(1), math.nan)

    def _sums(self, x: Tensor, width: float) -> Tensor:
        """(B,) log of the sum over samples of x: (B, D) levels."""
        factors = _factors(self.levels, width * (self.levels - 1), TOLERANCE / x.shape[1])
        u, v = (factor.to(x.device) for factor in factors)
        sums = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
        for samples in self.samples.split(max(1, ENTRIES // (x.shape[1] * u.shape[1]))):
            features = v[samples].flatten(1)
            parts = [log_sum(products(u[b].flatten(1), features)) for b in x.split(BLOCK)]
            sums = torch.logaddexp(sums, torch.cat(parts))
        return sums

    def _level(self, x: Tensor) -> Tensor:
        steps = (x * (self.levels - 1)).nan_to_num().round()
        return steps.clamp(0, self.levels - 1).long()


def log_sum(terms: Tensor) -> Tensor:
    """(B,) log Σ_i exp of terms: (B, n), which are overwritten.

    As torch.logsumexp, up to 30 times as fast where most terms are nothing beside the largest: exp is slow
    where it underflows, so that those stop at e^-700 of it.
    """
    largest = terms.amax(1, keepdim=True)
    return terms.sub_(largest).clamp_(min=-700).exp_().sum(1).log_().add_(largest[:, 0])


def log_cells(levels: int, width: float) -> Tensor:
    """(L, L) float64 log p(k | j): the mass of N(j, width²) in the cell of level k; width in levels.

    A difference of two distribution functions is taken in the tail that both arguments share, where
    neither is near one.
    """
    k = torch.arange(levels, dtype=torch.float64)
    away = (k[:, None] - k).abs()
    near, far = (torch.special.log_ndtr((side - away) / width) for side in (0.5, -0.5))
    table = near + (-torch.expm1(far - near)).log()
    table[0] = torch.special.log_ndtr((0.5 - k) / width)
    table[-1] = torch.special.log_ndtr((k - (levels - 1.5)) / width)
    return table


def low_rank(table: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """u: (L, r), v: (L, r) with |table[k, j] - Σ_r u[k, r] v[j, r]| ≤ tolerance, of the smallest r.

    Where rounding stands in the way, the table itself and the identity, which are exact.
    """
    u, size, v = torch.linalg.svd(table)
    for r in range(1, len(table)):
        left, right = u[:, :r] * size[:r], v[:r].T
        if (left @ right.T - table).abs().max() <= tolerance:
            return left.contiguous(), right.contiguous()
    return table, torch.eye(len(table), dtype=table.dtype)


@lru_cache(maxsize=64)  # 0.1 s for 256 levels, and asked for with every block
def _factors(levels: int, width: float, tolerance: float) -> tuple[Tensor, Tensor]:
    return low_rank(log_cells(levels, width), tolerance)


def kernel_for(spec: DataSpec, samples: Tensor) -> Kernel:
    """The kernel of a support around samples: (n, *shape)."""
    flat = samples.flatten(1)
    if spec.support is Support.BINARY:
        return BitFlip(flat)
    if spec.support is Support.LEVELS:
        assert spec.levels is not None
        return LevelCells(flat, spec.levels)
    return Gaussian(flat)
