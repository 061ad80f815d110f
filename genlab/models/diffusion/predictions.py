"""What a network's output F(z, λ) says of the datum: its mean x̂, or a distribution over its levels.

Four predictions give a number for each entry (Ho, Jain, Abbeel 2020, arXiv 2006.11239; Salimans, Ho 2022,
"Progressive Distillation", arXiv 2202.00512; Karras, Aittala, Aila, Laine 2022, arXiv 2206.00364):

    "x0"       x̂ = F
    "epsilon"  x̂ = (z - σ F) / α
    "v"        x̂ = α z - σ F
    "edm"      x̂ = c_skip z/α + c_out F(c_in z/α, λ)     (``preconditioning``)

The fifth, "levels", is for data with a finite number of levels y_k per entry. The network only
corrects what is known without it:

    p(x = y_k | z) ∝ exp( F_k + log p_train(x = y_k) + log N(z; α y_k, σ²) ),     x̂ = Σ_k p(y_k | z)
    y_k.

With F = 0, as at initialisation, this is the exact posterior of the model in which all entries are
independent, so the bound starts at that model's likelihood. F_k is given by its first cosine
coefficients over k, ``rank`` of them: all that matter for up to 17 levels, a smooth curve for more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from genlab.contracts import DataSpec, UnsupportedData
from genlab.models.diffusion.decoder import LevelDecoder
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.nn.heads import Categorical

CACHED = 2**18  # numbers that stay in a processor's cache while they are worked on


class Prediction(nn.Module, ABC):
    """z: (B, *shape), log_snr: (B,) or (). outputs: how many numbers F are, for each entry."""

    outputs = 1

    def fit(self, x: Tensor) -> None:
        """Learn from training data what is known without a network."""

    def seen(self, z: Tensor, log_snr: Tensor) -> Tensor:
        """What the network is shown of z."""
        return z

    @abstractmethod
    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        """Of x given z; f: (B, *shape, outputs). The variance is 0 where nothing is said of it."""


class X0(Prediction):
    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        return Moments(f.squeeze(-1), z.new_zeros(()))


class Epsilon(Prediction):
    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        a, s = spread(alpha(log_snr), z), spread(sigma(log_snr), z)
        return Moments((z - s * f.squeeze(-1)) / a, z.new_zeros(()))


class V(Prediction):
    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        a, s = spread(alpha(log_snr), z), spread(sigma(log_snr), z)
        return Moments(a * z - s * f.squeeze(-1), z.new_zeros(()))


class Levels(Prediction):
    """What the marginals of the training data and z itself say about the level of each entry."""

    log_marginal: Tensor  # (*shape, levels)
    powers: Tensor  # (levels, 2): the levels y from -1 to 1, and y²
    basis: Tensor  # (rank, levels), cosines over the levels; the constant one would change nothing

    def __init__(self, spec: DataSpec, rank: int) -> None:
        super().__init__()
        if spec.levels is None:
            raise UnsupportedData(
                f"predict='levels' takes BINARY or LEVELS data; {spec.name} is REAL: "
                "use 'v', 'epsilon', 'x0' or 'edm'"
            )
        self.decoder = LevelDecoder(spec.levels)
        self.head = Categorical(spec.levels)
        self.register_buffer("log_marginal", torch.zeros(*spec.shape, spec.levels))
        y = torch.linspace(-1, 1, spec.levels)
        self.register_buffer("powers", torch.stack([y, y.square()], dim=1), persistent=False)
        order = torch.arange(1, min(rank, spec.levels - 1) + 1).unsqueeze(1)
        middle = (torch.arange(spec.levels) + 0.5) / spec.levels
        self.register_buffer("basis", (math.pi * order * middle).cos(), persistent=False)
        self.outputs = len(order)

    def fit(self, x: Tensor) -> None:
        self.log_marginal.copy_(self.head.marginal(x))

    def forward(self, z: Tensor, log_snr: Tensor, f: Tensor | None = None) -> Tensor:
        """(B, *shape, levels) log-probabilities up to a constant; without f, of what is known without
        a network.
        """
        known = self.log_marginal if f is None else self.log_marginal + f @ self.basis
        return self.decoder.evidence(z, log_snr, known)

    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        portion = self._portion(z)
        pieces = zip(
            z.split(portion), log_snr.expand(len(z)).split(portion), f.split(portion), strict=True
        )
        means, variances = zip(*(self._moments(*piece) for piece in pieces), strict=True)
        return Moments(torch.cat(means), torch.cat(variances))

    def _portion(self, z: Tensor) -> int:
        """How many data at once: on a processor as many as fit its cache, which is 4 times as fast with
        256 levels as going through memory.
        """
        if z.device.type != "cpu" or torch.compiler.is_compiling():
            return len(z)
        return max(1, CACHED // self.log_marginal.numel())

    def _moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        logits = self(z, log_snr, f)
        with torch.autocast(logits.device.type, enabled=False):  # a variance is a small difference
            return self._of_two(logits) if len(self.powers) == 2 else self._of_many(logits)

    def _of_two(self, logits: Tensor) -> Moments:
        odds = logits[..., 1] - logits[..., 0]
        up = odds.sigmoid()
        return Moments(2 * up - 1, 4 * up * (-odds).sigmoid())

    def _of_many(self, logits: Tensor) -> Moments:
        mean, square = (logits.softmax(-1) @ self.powers).unbind(-1)
        return Moments(mean, (square - mean.square()).clamp_min(0))
