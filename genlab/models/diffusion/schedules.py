"""How noise grows: the log signal-to-noise ratio λ(t) as a falling function of time t in [0, 1].

A datum x becomes z_t = α_t x + σ_t ε, ε ~ N(0, I), with α_t² = sigmoid(λ_t) and σ_t² = sigmoid(-λ_t),
so that α² + σ² = 1 (variance preserving) and SNR = α²/σ² = exp(λ). Both ends are finite: λ(0) is
``log_snr_max``, where a datum can be read from z_0 almost without error, and λ(1) is ``log_snr_min``,
where z_1 is almost N(0, I). Between them, each schedule runs along its curve λ = f(u), from the u where
f is ``log_snr_max`` to the u where it is ``log_snr_min``.

- Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630 (log-linear; learned
  ends)
- Ho, Jain, Abbeel 2020, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239 (linear)
- Nichol, Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672 (cosine)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from genlab.contracts import UsageError

MARGIN = 4.5  # standard deviations of noise at t = 0 between a level and the middle to the next


def alpha(log_snr: Tensor) -> Tensor:
    """α, what is left of the signal."""
    return torch.sigmoid(log_snr).sqrt()


def sigma(log_snr: Tensor) -> Tensor:
    """σ, the standard deviation of the noise; accurate where it is small."""
    return torch.sigmoid(-log_snr).sqrt()


def spread(value: Tensor, z: Tensor) -> Tensor:
    """value: (B,) or () in the type of z: (B, *shape), and of a shape to be multiplied with it."""
    return value.to(z.dtype).reshape(-1, *[1] * (z.dim() - 1))


def resolving(levels: int | None) -> float:
    """The log-SNR at which ``levels`` values between -1 and 1 can be told apart; 9 for reals."""
    return 9.0 if levels is None else 2 * math.log(MARGIN * (levels - 1))


class Schedule(nn.Module, ABC):
    """t: (…) in [0, 1] to the log-SNR (…), falling from ``log_snr_max`` to ``log_snr_min``.

    levels: how many values a number of the data can take (None: reals); the model says so. It decides
    ``log_snr_max`` where that is None. learned: whether it has parameters.
    """

    learned: ClassVar[bool] = False

    def __init__(
        self,
        log_snr_max: float | None = None,
        log_snr_min: float = -6.0,
        *,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        highest = resolving(levels) if log_snr_max is None else log_snr_max
        if not -math.inf < log_snr_min < highest < math.inf:
            raise UsageError(
                f"schedule: log_snr_max={highest} must exceed log_snr_min={log_snr_min}, "
                "and both must be finite"
            )
        self._ends = highest, log_snr_min

    @property
    def log_snr_max(self) -> float:
        return self._ends[0]

    @property
    def log_snr_min(self) -> float:
        return self._ends[1]

    @abstractmethod
    def forward(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def rate(self, t: Tensor) -> Tensor:
        """−dλ/dt: (…), positive."""


class Curve(Schedule):
    """One with fixed ends."""

    def forward(self, t: Tensor) -> Tensor:
        start, end = map(self._inverse, self._ends)
        return self._curve(start + (end - start) * t)

    def rate(self, t: Tensor) -> Tensor:
        start, end = map(self._inverse, self._ends)
        return (start - end) * self._slope(start + (end - start) * t)

    @abstractmethod
    def _curve(self, u: Tensor) -> Tensor:
        """λ = f(u)."""

    @abstractmethod
    def _slope(self, u: Tensor) -> Tensor:
        """f'(u)."""

    @abstractmethod
    def _inverse(self, log_snr: float) -> float:
        """The u with f(u) = log_snr."""


class LogLinear(Curve):
    """λ falls at a constant rate: f(u) = -u. Every factor e of SNR gets the same number of steps."""

    def _curve(self, u: Tensor) -> Tensor:
        return -u

    def _slope(self, u: Tensor) -> Tensor:
        return -torch.ones_like(u)

    def _inverse(self, log_snr: float) -> float:
        return -log_snr


class Linear(Curve):
    """Ho et al.'s linear β in continuous time: α² = exp(-∫β), β(u) = 0.1 + 19.9 u."""

    low, rise = 0.1, 19.9

    def _curve(self, u: Tensor) -> Tensor:
        return -self._integral(u).expm1().log()

    def _slope(self, u: Tensor) -> Tensor:
        return (self.low + self.rise * u) / (-self._integral(u)).expm1()

    def _integral(self, u: Tensor) -> Tensor:
        return self.low * u + self.rise * u.square() / 2

    def _inverse(self, log_snr: float) -> float:
        integral = math.log1p(math.exp(-log_snr))
        return (math.sqrt(self.low**2 + 2 * self.rise * integral) - self.low) / self.rise


class Cosine(Curve):
    """α² = cos²(θ) / cos²(θ_0) at the angle θ = (u + s)/(1 + s) · π/2, s = 0.008."""

    offset = 0.008
    rate_of_angle = math.pi / 2 / (1 + offset)  # dθ/du
    first = offset * rate_of_angle  # θ_0

    def _curve(self, u: Tensor) -> Tensor:
        angle, gain = self.first + self.rate_of_angle * u, self.rate_of_angle * u
        # 1 - α² = sin(θ - θ_0) sin(θ + θ_0) / cos²(θ_0), without cancellation
        return 2 * angle.cos().log() - gain.sin().log() - (angle + self.first).sin().log()

    def _slope(self, u: Tensor) -> Tensor:
        angle, gain = self.first + self.rate_of_angle * u, self.rate_of_angle * u
        cotangents = 1 / gain.tan() + 1 / (angle + self.first).tan()
        return -self.rate_of_angle * (2 * angle.tan() + cotangents)

    def _inverse(self, log_snr: float) -> float:
        cos = math.cos(self.first) / math.sqrt(1 + math.exp(-log_snr))
        return (math.acos(cos) - self.first) / self.rate_of_angle


class Learned(Schedule):
    """λ falls at a constant rate between ends that training by the bound finds (Kingma et al. 2021, who
    learn the way between them too; the bound in continuous time depends on the ends alone).

    moved: (2,) how far the highest and the lowest λ are from where they were at first; weight decay pulls
    them back there.
    """

    learned = True

    def __init__(
        self,
        log_snr_max: float | None = None,
        log_snr_min: float = -6.0,
        *,
        levels: int | None = None,
    ) -> None:
        super().__init__(log_snr_max, log_snr_min, levels=levels)
        self.moved = nn.Parameter(torch.zeros(2))

    @property
    def log_snr_max(self) -> float:
        return self._found()[0].item()

    @property
    def log_snr_min(self) -> float:
        return self._found()[1].item()

    def forward(self, t: Tensor) -> Tensor:
        highest, lowest = self._found().to(t)
        return highest + (lowest - highest) * t

    def rate(self, t: Tensor) -> Tensor:
        highest, lowest = self._found().to(t)
        return (highest - lowest).expand_as(t)

    def _found(self) -> Tensor:
        """(2,) float64"""
        return self.moved.double() + self.moved.new_tensor(self._ends, dtype=torch.float64)
