"""Adding noise: z = α x + σ ε, ε ~ N(0, I)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from genlab.models.diffusion.schedules import alpha, sigma, spread


def noise(like: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal numbers; None draws them from torch's default generator."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def noised(signal: Tensor, log_snr: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """z and its ε, both (B, *shape); log_snr: (B,) or ()."""
    epsilon = noise(signal, generator)
    z = spread(alpha(log_snr), signal) * signal + spread(sigma(log_snr), signal) * epsilon
    return z, epsilon
