"""The last step, from z_0 to the datum, and the first, from the datum to the numbers that get noise.

p(x | z_0) is proportional to N(z_0; α_0 x, σ_0²), entry by entry, normalised over the support of x:
a mass over the levels, or the density N(x; z_0 / α_0, σ_0² / α_0²) of reals. It holds no network: log_snr
at t = 0 is chosen so high that nothing is left to decide (Kingma, Salimans, Poole, Ho 2021,
"Variational Diffusion Models", arXiv 2107.00630, section 3.3).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from genlab.contracts import DataSpec
from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.nn.heads import Categorical
from genlab.randomness import randn_like


class Decoder(ABC):
    """x is a datum as the data module delivers it, z what the chain works on; log_snr: () or (B,)."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """The signal to which noise is added."""

    @abstractmethod
    def unembed(self, z: Tensor) -> Tensor:
        """The inverse of ``embed`` on all reals."""

    @abstractmethod
    def log_prob(self, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        """(B, *shape) nats: log p(x | z) at this log-SNR."""

    @abstractmethod
    def sample(self, z: Tensor, log_snr: Tensor, generator: Generator) -> Tensor:
        """x ~ p(x | z), inside the support."""


class LevelDecoder(Decoder):
    """BINARY and LEVELS: x in {0, …, 1} becomes 2x - 1."""

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.head = Categorical(levels)

    def embed(self, x: Tensor) -> Tensor:
        return 2 * x - 1

    def unembed(self, z: Tensor) -> Tensor:
        return (z + 1) / 2

    def log_prob(self, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        return self.head.log_prob(x, self.evidence(z, log_snr))

    def sample(self, z: Tensor, log_snr: Tensor, generator: Generator) -> Tensor:
        return self.head.sample(self.evidence(z, log_snr), generator)

    def evidence(self, z: Tensor, log_snr: Tensor, known: Tensor | None = None) -> Tensor:
        """(B, *shape, levels): log N(z; α y_k, σ²) up to a constant, for each level y_k; plus ``known``."""
        y = torch.linspace(-1, 1, self.levels, device=z.device, dtype=z.dtype)
        seen = (z / spread(sigma(log_snr), z)).unsqueeze(-1)
        deviation = seen - spread((log_snr / 2).exp(), z).unsqueeze(-1) * y
        known = z.new_zeros(()) if known is None else known
        return torch.addcmul(known, deviation, deviation, value=-0.5)


class RealDecoder(Decoder):
    """REAL: x is taken as it is."""

    def embed(self, x: Tensor) -> Tensor:
        return x

    def unembed(self, z: Tensor) -> Tensor:
        return z

    def log_prob(self, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        error = (z - spread(alpha(log_snr), z) * x) / spread(sigma(log_snr), z)
        return (spread(log_snr, z) - math.log(2 * math.pi) - error.square()) / 2

    def sample(self, z: Tensor, log_snr: Tensor, generator: Generator) -> Tensor:
        return (z + spread(sigma(log_snr), z) * randn_like(z, generator)) / spread(
            alpha(log_snr), z
        )


def decoder_for(spec: DataSpec) -> Decoder:
    return RealDecoder() if spec.levels is None else LevelDecoder(spec.levels)
