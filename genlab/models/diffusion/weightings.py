"""What each noise level counts for in training, where it is not the bound that is trained.

    loss = E_λ w(λ) |ε − ε̂|² / D,    |ε − ε̂|² = SNR |x − x̂|² = α² |v − v̂|²,    SNR = e^λ

with a weight w of the error in ε for each log-SNR λ, whatever the network predicts. The bound in
continuous time is one of these too, with w = ½ D in λ itself, that is with ½ D (−dλ/dt) in t (``bound``).

    "simple"    1                        Ho, Jain, Abbeel 2020, arXiv 2006.11239
    "min_snr"   min(SNR, γ) / SNR        γ = 5: Hang et al. 2023, "Efficient Diffusion Training via Min-SNR
                                         Weighting Strategy", arXiv 2303.09556
    "p2"        1 / (k + SNR)^γ          k = γ = 1: Choi et al. 2022, "Perception Prioritized Training of
                                         Diffusion Models", arXiv 2204.00227
    "edm"       the error of the network's own output, at log-normal noise levels (``preconditioning``)
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genlab.contracts import UsageError
from genlab.models.diffusion.denoisers import Denoiser
from genlab.models.diffusion.noising import noised
from genlab.models.diffusion.preconditioning import Preconditioning
from genlab.models.diffusion.samplers import Denoise
from genlab.models.diffusion.schedules import Schedule, alpha, sigma, spread

NAMES = ("bound", "simple", "min_snr", "p2", "edm")


class Weighting(ABC):
    @abstractmethod
    def weight(self, log_snr: Tensor) -> Tensor:
        """(…) of the squared error in ε at log-SNRs (…)."""

    def log_snr(self, schedule: Schedule, t: Tensor) -> Tensor:
        """(B,) which levels are seen; t: (B,) uniform in [0, 1)."""
        return schedule(t)

    def error(self, signal: Tensor, t: Tensor, denoise: Denoise, schedule: Schedule) -> Tensor:
        """(B,) weighted mean squared errors of ε̂ = (z − α x̂) / σ, with torch's default generator."""
        log_snr = self.log_snr(schedule, t)
        z, epsilon = noised(signal, log_snr, None)
        removed = z - spread(alpha(log_snr), z) * denoise(z, log_snr).mean
        error = epsilon - removed / spread(sigma(log_snr), z)
        return self.weight(log_snr) * error.square().flatten(1).mean(1)


class Simple(Weighting):
    def weight(self, log_snr: Tensor) -> Tensor:
        return torch.ones_like(log_snr)


class MinSNR(Weighting):
    gamma = 5.0

    def weight(self, log_snr: Tensor) -> Tensor:
        return (self.gamma * (-log_snr).exp()).clamp(max=1)


class P2(Weighting):
    k, gamma = 1.0, 1.0

    def weight(self, log_snr: Tensor) -> Tensor:
        return (self.k + log_snr.exp()) ** -self.gamma


class EDM(Weighting):
    """Karras et al. 2022, arXiv 2206.00364: every noise level weighs alike in the error of the network's
    output F, and levels are seen where there is something to learn.
    """

    def __init__(self, preconditioning: Preconditioning) -> None:
        self.preconditioning = preconditioning

    def weight(self, log_snr: Tensor) -> Tensor:
        """|F − F*|² = |x − x̂|² / c_out² = |ε − ε̂|² / (SNR c_out²)."""
        return 1 + (-log_snr).exp() / self.preconditioning.sigma_data.square()

    def log_snr(self, schedule: Schedule, t: Tensor) -> Tensor:
        """Those outside of the schedule are moved to its ends."""
        drawn = self.preconditioning.log_normal(t)
        return drawn.clamp(schedule.log_snr_min, schedule.log_snr_max)


PLAIN = {"simple": Simple, "min_snr": MinSNR, "p2": P2}


def weighting_for(name: str, denoiser: Denoiser) -> Weighting | None:
    """None is the bound.

    Raises UsageError for another name, and for "edm" with a network that predicts something else.
    """
    if name not in NAMES:
        raise UsageError(f"model.weighting={name}: expected {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    if name == "edm":
        if not isinstance(denoiser.prior, Preconditioning):
            raise UsageError(
                "model.weighting=edm is the error of a preconditioned network: add denoiser.predict=edm"
            )
        return EDM(denoiser.prior)
    return PLAIN[name]() if name in PLAIN else None
