"""What the datum was, seen through the noise: the mean x̂ and variance v̂ of x given z_t, per entry.

A network F(z_t, λ) is read in one of four ways. Three give a number for each entry (Ho, Jain, Abbeel
2020, arXiv 2006.11239; Salimans, Ho 2022, "Progressive Distillation", arXiv 2202.00512):

    "x0"       x̂ = F
    "epsilon"  x̂ = (z - σ F) / α
    "v"        x̂ = α z - σ F

The fourth, "levels", is for data with a finite number of levels y_k per entry. The network only
corrects what is known without it:

    p(x = y_k | z) ∝ exp( F_k + log p_train(x = y_k) + log N(z; α y_k, σ²) ),     x̂ = Σ_k p(y_k | z)
    y_k.

With F = 0, as at initialisation, this is the exact posterior of the model in which all entries are
independent, so the bound starts at that model's likelihood. F_k is given by its first cosine
coefficients over k, ``rank`` of them: all that matter for up to 17 levels, a smooth curve for more.

The variance v̂, which makes the steps back wider (``reverse``), is that of p(y_k | z) ("predicted"),
that of standard normal data, σ² ("normal"), or 0 ("zero").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, UnsupportedData, UsageError
from genlab.models.diffusion.decoder import LevelDecoder
from genlab.models.diffusion.networks import Dense
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.nn.heads import Categorical

Network = Callable[
    ..., nn.Module
]  # (shape, outputs) to a module (z, log_snr) -> (B, *shape, outputs)
PREDICTIONS = ("levels", "epsilon", "x0", "v")
VARIANCES = ("predicted", "normal", "zero")


class Denoiser(nn.Module):
    """z: (B, *shape) and log_snr: (B,) or () to the moments of x given z.

    predict: one of ``PREDICTIONS``; None is "levels" on BINARY and LEVELS data and "v" on REAL.
    variance: one of ``VARIANCES``; None is "predicted" with "levels", else "normal" on REAL data and
    "zero" on others. network: called with (shape, outputs), and with ``classes`` where the model is
    told labels; None is ``Dense``. rank: coefficients per entry of "levels".
    """

    def __init__(
        self,
        spec: DataSpec,
        predict: str | None = None,
        variance: str | None = None,
        network: Network | None = None,
        rank: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        real = spec.levels is None
        self.predict = predict or ("v" if real else "levels")
        levels = self.predict == "levels"
        self.variance = variance or ("predicted" if levels else "normal" if real else "zero")
        if self.predict not in PREDICTIONS:
            raise UsageError(f"predict={predict!r} must be one of {', '.join(PREDICTIONS)}")
        if self.variance not in VARIANCES:
            raise UsageError(f"variance={variance!r} must be one of {', '.join(VARIANCES)}")
        if self.variance == "predicted" and not levels:
            raise UsageError("variance='predicted' needs predict='levels'; use 'normal' or 'zero'")
        if levels:
            self.prior = LevelPrior(spec, rank)
        outputs = len(self.prior.basis) if levels else 1
        told: dict[str, Any] = {"classes": classes} if classes else {}
        self.network = (network or Dense)(spec.shape, outputs, **told)

    def begin(self, batch: Batch) -> None:
        """Learn from the training data what is known without a network."""
        if self.predict == "levels":
            self.prior.fit(batch.x)

    def forward(
        self, z: Tensor, log_snr: Tensor, label: Tensor | None = None, guidance: float = 1.0
    ) -> Moments:
        """label: (B,), None where it is not known. guidance: w of f_∅ + w (f_label − f_∅), with f what
        the network says (Ho, Salimans 2022, "Classifier-Free Diffusion Guidance", arXiv 2207.12598,
        whose w is one less).
        """
        f = self._network(z, log_snr, label)
        if label is not None and guidance != 1:
            f = torch.lerp(self._network(z, log_snr, None), f, guidance)
        if self.predict == "levels":
            mean, predicted = self.prior.moments(self.prior(z, log_snr) + f @ self.prior.basis)
        else:
            mean, predicted = self._mean(z, log_snr, f), z.new_zeros(())
        if self.variance == "predicted":
            return Moments(mean, predicted)
        normal = self.variance == "normal"
        return Moments(mean, spread(torch.sigmoid(-log_snr), z) if normal else z.new_zeros(()))

    def _mean(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Tensor:
        f = f.squeeze(-1)
        a, s = spread(alpha(log_snr), z), spread(sigma(log_snr), z)
        if self.predict == "epsilon":
            return (z - s * f) / a
        return a * z - s * f if self.predict == "v" else f

    def _network(self, z: Tensor, log_snr: Tensor, label: Tensor | None) -> Tensor:
        told = () if label is None else (label,)
        return self.network(z, log_snr.to(z.dtype).expand(len(z)), *told)


class LevelPrior(nn.Module):
    """What the marginals of the training data and z itself say about the level of each entry."""

    log_marginal: Tensor  # (*shape, levels)
    powers: Tensor  # (levels, 2): the levels y from -1 to 1, and y²
    basis: Tensor  # (rank, levels), cosines over the levels; the constant one would change nothing

    def __init__(self, spec: DataSpec, rank: int) -> None:
        super().__init__()
        if spec.levels is None:
            raise UnsupportedData(
                f"predict='levels' takes BINARY or LEVELS data; {spec.name} is REAL: "
                "use 'v', 'epsilon' or 'x0'"
            )
        self.decoder = LevelDecoder(spec.levels)
        self.head = Categorical(spec.levels)
        self.register_buffer("log_marginal", torch.zeros(*spec.shape, spec.levels))
        y = torch.linspace(-1, 1, spec.levels)
        self.register_buffer("powers", torch.stack([y, y.square()], dim=1), persistent=False)
        order = torch.arange(1, min(rank, spec.levels - 1) + 1).unsqueeze(1)
        middle = (torch.arange(spec.levels) + 0.5) / spec.levels
        self.register_buffer("basis", (math.pi * order * middle).cos(), persistent=False)

    def fit(self, x: Tensor) -> None:
        self.log_marginal.copy_(self.head.marginal(x))

    def forward(self, z: Tensor, log_snr: Tensor) -> Tensor:
        return self.log_marginal + self.decoder.evidence(z, log_snr)

    def moments(self, logits: Tensor) -> Moments:
        """Mean and variance over the levels with these logits: (B, *shape, levels)."""
        with torch.autocast(logits.device.type, enabled=False):  # a variance is a small difference
            mean, square = (logits.softmax(-1) @ self.powers).unbind(-1)
        return Moments(mean, (square - mean.square()).clamp_min(0))
