"""x̂(z_t; λ): what the datum was, seen through the noise.

A network F(z_t, λ) is read in one of four ways. Three give a number for each entry (Ho, Jain, Abbeel
2020, arXiv 2006.11239; Salimans, Ho 2022, "Progressive Distillation", arXiv 2202.00512):

    "x0"       x̂ = F
    "epsilon"  x̂ = (z - σ F) / α
    "v"        x̂ = α z - σ F

The fourth, "levels", is for data with a finite number of levels y_k per entry. The network only
corrects what is known without it:

    p(x = y_k | z) ∝ exp( F_k + log p_train(x = y_k) + log N(z; α y_k, σ²) ),     x̂ = Σ_k p(y_k | z) y_k.

With F = 0, as at initialisation, this is the exact posterior of the model in which all entries are
independent, so the bound starts at that model's likelihood. F_k is given by its first cosine
coefficients over k, ``rank`` of them: all that matter for up to 17 levels, a smooth curve for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genlab.contracts import DataSpec, UnsupportedData, UsageError
from genlab.models.diffusion.decoder import LevelDecoder
from genlab.models.diffusion.networks import Dense
from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.nn.heads import Categorical

Network = Callable[
    ..., nn.Module
]  # (shape, outputs) to a module (z, log_snr) -> (B, *shape, outputs)
PREDICTIONS = ("levels", "epsilon", "x0", "v")


class Denoiser(nn.Module):
    """z: (B, *shape) and log_snr: (B,) or () to x̂: (B, *shape).

    predict: one of ``PREDICTIONS``; None is "levels" on BINARY and LEVELS data and "v" on REAL.
    network: called with (shape, outputs); None is ``Dense``. rank: coefficients per entry of "levels".
    """

    def __init__(
        self,
        spec: DataSpec,
        predict: str | None = None,
        network: Network | None = None,
        rank: int = 16,
    ) -> None:
        super().__init__()
        self.predict = predict or ("v" if spec.levels is None else "levels")
        if self.predict not in PREDICTIONS:
            raise UsageError(f"predict={predict!r} must be one of {', '.join(PREDICTIONS)}")
        outputs = 1
        if self.predict == "levels":
            if spec.levels is None:
                raise UnsupportedData(
                    f"predict='levels' takes BINARY or LEVELS data; {spec.name} is REAL: "
                    "use 'v', 'epsilon' or 'x0'"
                )
            self.prior = LevelPrior(spec, rank)
            outputs = len(self.prior.basis)
        self.network = (network or Dense)(spec.shape, outputs)

    def begin(self, x: Tensor) -> None:
        """Learn from the training data x: (N, *shape) what is known without a network."""
        if self.predict == "levels":
            self.prior.fit(x)

    def forward(self, z: Tensor, log_snr: Tensor) -> Tensor:
        if self.predict == "levels":
            return self.logits(z, log_snr).softmax(-1) @ self.prior.values
        f = self._network(z, log_snr).squeeze(-1)
        a, s = spread(alpha(log_snr), z), spread(sigma(log_snr), z)
        if self.predict == "epsilon":
            return (z - s * f) / a
        return a * z - s * f if self.predict == "v" else f

    def logits(self, z: Tensor, log_snr: Tensor) -> Tensor:
        """(B, *shape, levels): log p(x = y_k | z) up to a constant; of "levels" only."""
        return self.prior(z, log_snr) + self._network(z, log_snr) @ self.prior.basis

    def _network(self, z: Tensor, log_snr: Tensor) -> Tensor:
        return self.network(z, log_snr.to(z.dtype).expand(len(z)))


class LevelPrior(nn.Module):
    """What the marginals of the training data and z itself say about the level of each entry."""

    log_marginal: Tensor  # (*shape, levels)
    values: Tensor  # (levels,), from -1 to 1
    basis: Tensor  # (rank, levels), cosines over the levels; the constant one would change nothing

    def __init__(self, spec: DataSpec, rank: int) -> None:
        super().__init__()
        assert spec.levels is not None
        self.decoder = LevelDecoder(spec.levels)
        self.head = Categorical(spec.levels)
        self.register_buffer("log_marginal", torch.zeros(*spec.shape, spec.levels))
        self.register_buffer("values", torch.linspace(-1, 1, spec.levels), persistent=False)
        order = torch.arange(1, min(rank, spec.levels - 1) + 1).unsqueeze(1)
        middle = (torch.arange(spec.levels) + 0.5) / spec.levels
        self.register_buffer("basis", (math.pi * order * middle).cos(), persistent=False)

    def fit(self, x: Tensor) -> None:
        self.log_marginal.copy_(self.head.marginal(x))

    def forward(self, z: Tensor, log_snr: Tensor) -> Tensor:
        return self.log_marginal + self.decoder.evidence(z, log_snr)
