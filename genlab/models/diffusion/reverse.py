"""One step back: p(z_s | z_t), s < t, Gaussian, from what z_t says about the datum.

Given x, the state before z_t is known exactly. With c = 1 - SNR_t / SNR_s,

    q(z_s | z_t, x) = N(z_s;  (α_s / α_t)(1 - c) z_t + α_s c x,  σ_s² c).

The model does not know x, only its mean x̂ and variance v̂ given z_t, entry by entry. Its step back has
the mean and variance that follow from these two: x̂ in the place of x, and the variance widened to
σ_s² c (1 + g) with g = (SNR_s - SNR_t) v̂. This contains both variances of Ho, Jain, Abbeel 2020
(arXiv 2006.11239, section 3.2): v̂ = 0 gives that of q(z_s | z_t, x), right where z_t determines x, and
v̂ = σ_t², the variance given z_t of x ~ N(0, I), gives σ_t² c, that of q(z_t | z_s). The v̂ that leaves
the smallest divergence is the true variance of x given z_t (Bao, Li, Zhu, Zhang 2022, "Analytic-DPM",
arXiv 2201.06503).

The divergence is known in closed form,

    KL(q || p) = ½ Σ [ log(1 + g) + ((SNR_s - SNR_t)(x - x̂)² - g) / (1 + g) ],

and ½ (SNR_s - SNR_t) |x - x̂|² where v̂ = 0 (Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion
Models", arXiv 2107.00630). s and t stand for the two log-SNRs, (B,) or ().
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genlab.models.diffusion.schedules import alpha, spread


class Moments(NamedTuple):
    """Mean x̂: (B, *shape) and variance v̂ (of a shape to be multiplied with it) of x given z_t."""

    mean: Tensor
    variance: Tensor


def step(z: Tensor, x: Moments, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of p(z_s | z_t = z)."""
    keep, c = spread((t - s).exp() * alpha(s) / alpha(t), z), -torch.expm1(t - s)
    mean = keep * z + spread(alpha(s) * c, z) * x.mean
    variance = spread(torch.sigmoid(-s) * c, z) * (1 + _gain(s, t, z) * x.variance)
    return mean, variance.sqrt()


def divergence(signal: Tensor, x: Moments, s: Tensor, t: Tensor) -> Tensor:
    """(B, *shape) nats: KL( q(z_s | z_t, signal) || p(z_s | z_t) ), entry by entry."""
    gain = _gain(s, t, signal)
    g = gain * x.variance
    return (torch.log1p(g) + (gain * (signal - x.mean).square() - g) / (1 + g)) / 2


def _gain(s: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """SNR_s - SNR_t, without cancellation."""
    return spread(t.exp() * torch.expm1(s - t), z)
