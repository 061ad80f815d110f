"""How noise grows: the log signal-to-noise ratio λ(t) as a falling function of time t in [0, 1].

A datum x becomes z_t = α_t x + σ_t ε, ε ~ N(0, I), with α_t² = sigmoid(λ_t) and σ_t² = sigmoid(-λ_t),
so that α² + σ² = 1 (variance preserving) and SNR = α²/σ² = exp(λ). Both ends are finite: λ(0) is
``log_snr_max``, where a datum can be read from z_0 almost without error, and λ(1) is ``log_snr_min``,
where z_1 is almost N(0, I). Between them, each schedule runs along its curve λ = f(u), from the u where
f is ``log_snr_max`` to the u where it is ``log_snr_min``.

- Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630 (log-linear)
- Ho, Jain, Abbeel 2020, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239 (linear)
- Nichol, Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672 (cosine)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

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


class Schedule(ABC):
    """t: (…) in [0, 1] to the log-SNR (…), falling from ``log_snr_max`` to ``log_snr_min``.

    levels: how many values a number of the data can take (None: reals); the model says so. It decides
    ``log_snr_max`` where that is None.
    """

    def __init__(
        self,
        log_snr_max: float | None = None,
        log_snr_min: float = -6.0,
        *,
        levels: int | None = None,
    ) -> None:
        self.log_snr_max = resolving(levels) if log_snr_max is None else log_snr_max
        self.log_snr_min = log_snr_min
        if not -math.inf < self.log_snr_min < self.log_snr_max < math.inf:
            raise UsageError(
                f"schedule: log_snr_max={self.log_snr_max} must exceed log_snr_min={log_snr_min}, "
                "and both must be finite"
            )
        self._start, self._end = self._inverse(self.log_snr_max), self._inverse(self.log_snr_min)

    def __call__(self, t: Tensor) -> Tensor:
        return self._curve(self._start + (self._end - self._start) * t)

    @abstractmethod
    def _curve(self, u: Tensor) -> Tensor:
        """λ = f(u)."""

    @abstractmethod
    def _inverse(self, log_snr: float) -> float:
        """The u with f(u) = log_snr."""


class LogLinear(Schedule):
    """λ falls at a constant rate: f(u) = -u. Every factor e of SNR gets the same number of steps."""

    def _curve(self, u: Tensor) -> Tensor:
        return -u

    def _inverse(self, log_snr: float) -> float:
        return -log_snr


class Linear(Schedule):
    """Ho et al.'s linear β in continuous time: α² = exp(-∫β), β(u) = 0.1 + 19.9 u."""

    low, rise = 0.1, 19.9

    def _curve(self, u: Tensor) -> Tensor:
        integral = self.low * u + self.rise * u.square() / 2
        return -integral.expm1().log()

    def _inverse(self, log_snr: float) -> float:
        integral = math.log1p(math.exp(-log_snr))
        return (math.sqrt(self.low**2 + 2 * self.rise * integral) - self.low) / self.rise


class Cosine(Schedule):
    """α² = cos²(θ) / cos²(θ_0) at the angle θ = (u + s)/(1 + s) · π/2, s = 0.008."""

    offset = 0.008
    rate = math.pi / 2 / (1 + offset)  # dθ/du
    first = offset * rate  # θ_0

    def _curve(self, u: Tensor) -> Tensor:
        angle, gain = self.first + self.rate * u, self.rate * u
        # 1 - α² = sin(θ - θ_0) sin(θ + θ_0) / cos²(θ_0), without cancellation
        return 2 * angle.cos().log() - gain.sin().log() - (angle + self.first).sin().log()

    def _inverse(self, log_snr: float) -> float:
        cos = math.cos(self.first) / math.sqrt(1 + math.exp(-log_snr))
        return (math.acos(cos) - self.first) / self.rate
