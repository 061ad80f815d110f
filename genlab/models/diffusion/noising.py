"""Adding noise: z = α x + σ ε, ε ~ N(0, I)."""

from __future__ import annotations

from torch import Generator, Tensor

from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.randomness import randn_like


def noised(signal: Tensor, log_snr: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """z and its ε, both (B, *shape); log_snr: (B,) or ()."""
    epsilon = randn_like(signal, generator)
    z = spread(alpha(log_snr), signal) * signal + spread(sigma(log_snr), signal) * epsilon
    return z, epsilon
