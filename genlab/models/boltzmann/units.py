"""Kinds of units, each kind an exponential family with the natural parameter z that a unit is given.

A layer of units s has the weight exp(z·s) with respect to its base measure. What Boltzmann machines
need of it:

  A(z) = log Σ_s exp(z·s),   E[s] = A'(z),   and draws of s.

| kind | s | base measure | A of one unit |
|---|---|---|---|
| ``Bernoulli`` | {0, 1} | counting | log(1 + exp z) |
| ``Softmax`` | one of C, as C bits | counting | log Σ_c exp z_c |
| ``Gaussian`` | ℝ | exp(−s²/2) ds | z²/2 + log(2π)/2 |
| ``Rectified`` | s ≥ 0 | exp(−s²/2) ds | z²/2 + log Φ(z) + log(2π)/2 |

A rectified unit is a Gaussian one cut off at zero (Su, Liao, Chen, Carin: Nonlinear Statistical
Learning with Truncated Gaussian Graphical Models, ICML 2016). The noisy rectified units of Nair &
Hinton (2010) approximate infinitely many tied Bernoulli units; these here have an energy, so that their
likelihood can be estimated. Max Welling, Michal Rosen-Zvi, Geoffrey Hinton: Exponential Family
Harmoniums. NeurIPS 2004.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.nn.heads import full
from genlab.randomness import randn_like

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
SQRT_HALF = math.sqrt(0.5)
FAR = -32.0  # below this the tail of a Gaussian is that of an exponential, to 1 part in 1,000


class Units(ABC):
    """A layer of ``size`` units. z: (n, size) natural parameters, s: (n, size) states.

    binary: whether all states are bits that can be enumerated. bounded: whether s is.
    """

    binary = False
    bounded = True

    def __init__(self, size: int) -> None:
        self.size = size

    @abstractmethod
    def log_partition(self, z: Tensor) -> Tensor:
        """(n,) A(z), summed over the layer; differentiable."""

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """(n, size) E[s]."""

    @abstractmethod
    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        """(n, size) draws of s; z may be overwritten."""

    @abstractmethod
    def natural(self, s: Tensor) -> Tensor:
        """(size,) the z of independent units like the data s: (N, size)."""

    def energy(self, s: Tensor) -> Tensor:
        """(n,) minus the log of the base measure."""
        return s.new_zeros(len(s))

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) and (n, size): what ``tempered`` makes A(βz) of at many β."""
        return z.new_zeros(len(z)), z

    def tempered(self, linear: Tensor, rest: Tensor, beta: float) -> Tensor:
        """(n,) A(βz) of what ``split`` made of z; without gradients."""
        return self.log_partition(beta * rest)


class Bernoulli(Units):
    binary = True

    def log_partition(self, z: Tensor) -> Tensor:
        # beyond a threshold softplus returns z itself, 2e-9 off at torch's default of 20
        return F.softplus(z, threshold=40).sum(-1)

    def mean(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        return bernoulli(z.sigmoid_(), generator)

    def natural(self, s: Tensor) -> Tensor:
        """Log-odds, with half a count added to both values."""
        return ((s.sum(0) + 0.5) / (len(s) + 1)).logit()

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log(1 + exp βz) = β max(z, 0) + log(1 + exp(−β|z|)): linear in β but for a small term."""
        size = z.abs()
        return ((z.sum(1) + size.sum(1)) / 2).double(), size

    def tempered(self, linear: Tensor, rest: Tensor, beta: float) -> Tensor:
        small = (-beta * rest).exp_().add_(1.0).log_().sum(1)  # half the price of log1p; 1 + e ≤ 2
        return beta * linear + small


class Softmax(Units):
    """One unit with ``size`` states, as bits of which exactly one is 1: a label."""

    def log_partition(self, z: Tensor) -> Tensor:
        return z.logsumexp(-1)

    def mean(self, z: Tensor) -> Tensor:
        return z.softmax(-1)

    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        which = torch.multinomial(full(z).softmax(-1), 1, generator=generator).squeeze(-1)
        return F.one_hot(which, self.size).to(z.dtype)

    def natural(self, s: Tensor) -> Tensor:
        """Log frequencies, with half a count added to each state."""
        return ((s.sum(0) + 0.5) / (len(s) + 0.5 * self.size)).log()


class Gaussian(Units):
    bounded = False

    def log_partition(self, z: Tensor) -> Tensor:
        return (0.5 * z.square() + HALF_LOG_2PI).sum(-1)

    def mean(self, z: Tensor) -> Tensor:
        return z

    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        return z + randn_like(z, generator)

    def natural(self, s: Tensor) -> Tensor:
        return s.mean(0)

    def energy(self, s: Tensor) -> Tensor:
        return 0.5 * s.square().sum(-1)


class Rectified(Units):
    """Sums, means and draws are worked out in float64: below zero they are differences of nearly equal
    numbers.
    """

    bounded = False

    def log_partition(self, z: Tensor) -> Tensor:
        """Below zero z²/2 + log Φ(z) is log erfcx(−z/√2) − log 2, of which nothing cancels."""
        above, below = z.double().relu(), z.double().clamp(max=0)
        gaussian = 0.5 * above.square() + torch.special.log_ndtr(above)
        tail = torch.special.erfcx(below * -SQRT_HALF).log()
        return (gaussian + tail + HALF_LOG_2PI).sum(-1).to(z.dtype)

    def mean(self, z: Tensor) -> Tensor:
        """z + φ(z)/Φ(z) with φ/Φ = √(2/π) / erfcx(−z/√2), which is nothing from 20 on."""
        wide = z.double()
        ratio = math.sqrt(2 / math.pi) / torch.special.erfcx(wide.clamp(max=20) * -SQRT_HALF)
        return (wide + ratio).to(z.dtype)

    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        """By inverting the distribution function, far below zero that of the exponential tail."""
        u = 1 - torch.rand(z.shape, generator=generator, dtype=torch.float64, device=z.device)
        wide = z.double()
        near = wide.clamp(min=FAR)
        mass = 0.5 * torch.erfc(near * -SQRT_HALF)  # torch's ndtr is 0 from −8.3 on
        tail = u.log() / wide.clamp(max=-1.0)
        inverted = near - torch.special.ndtri(u * mass)
        return torch.where(wide < FAR, tail, inverted).clamp(min=0).to(z.dtype)

    def natural(self, s: Tensor) -> Tensor:
        """Zero: rectified units are hidden, and their data are not known."""
        return s.new_zeros(self.size)

    def energy(self, s: Tensor) -> Tensor:
        return 0.5 * s.square().sum(-1)


class Joint(Units):
    """Layers side by side: an image and its label."""

    def __init__(self, parts: Sequence[Units]) -> None:
        self.parts = tuple(parts)
        self.sizes = [part.size for part in parts]
        super().__init__(sum(self.sizes))
        self.bounded = all(part.bounded for part in parts)

    def log_partition(self, z: Tensor) -> Tensor:
        return torch.stack([p.log_partition(each) for p, each in self._of(z)]).sum(0)

    def mean(self, z: Tensor) -> Tensor:
        return torch.cat([p.mean(each) for p, each in self._of(z)], dim=-1)

    def draw(self, z: Tensor, generator: Generator | None = None) -> Tensor:
        return torch.cat([p.draw(each, generator) for p, each in self._of(z)], dim=-1)

    def natural(self, s: Tensor) -> Tensor:
        return torch.cat([p.natural(each) for p, each in self._of(s)])

    def energy(self, s: Tensor) -> Tensor:
        return torch.stack([p.energy(each) for p, each in self._of(s)]).sum(0)

    def _of(self, values: Tensor) -> list[tuple[Units, Tensor]]:
        return list(zip(self.parts, values.split(self.sizes, dim=-1), strict=True))


def bernoulli(p: Tensor, generator: Generator | None) -> Tensor:
    """Bits that are 1 with probability p, by comparing it with 31 random bits; p is overwritten.

    They cost less than the 24 of a uniform float, which would be 0, and below any p, once in 2^24 times.
    Never in less than float32: of 31 bits bfloat16 keeps 8, and a p of 1 would fail once in 2^9 times.
    """
    p = full(p)
    random = torch.empty(p.shape, dtype=torch.int32, device=p.device).random_(generator=generator)
    return random.to(p.dtype).lt_(p.mul_(2.0**31))
