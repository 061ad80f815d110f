"""What the datum was, seen through the noise: the mean x̂ and variance v̂ of x given z_t, per entry.

A network F(z_t, λ) is read in one of five ways (``predictions``), and v̂, which makes the steps back wider,
is found in one of five (``variances``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, UsageError
from genlab.models.diffusion.networks import Dense
from genlab.models.diffusion.preconditioning import Preconditioning
from genlab.models.diffusion.predictions import X0, Epsilon, Levels, Prediction, V
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.variances import VARIANCES
from genlab.ranges import at_least

Network = Callable[
    ..., nn.Module
]  # (shape, outputs) to a module (z, log_snr) -> (B, *shape, outputs)
PREDICTIONS = ("levels", "epsilon", "x0", "v", "edm")


class Denoiser(nn.Module):
    """z: (B, *shape) and log_snr: (B,) or () to the moments of x given z.

    predict: one of ``PREDICTIONS``; None is "levels" on BINARY and LEVELS data and "v" on REAL.
    variance: one of ``VARIANCES``; None is "predicted" with "levels", else "normal" on REAL data and
    "zero" on others. network: called with (shape, outputs), and with ``classes`` where the model is
    told labels. rank: coefficients per entry of "levels".

    Raises UsageError for what is none of these, and for "predicted" without "levels".
    """

    def __init__(
        self,
        spec: DataSpec,
        predict: str | None = None,
        variance: str | None = None,
        network: Network = Dense,
        rank: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        at_least(1, rank=rank)
        real = spec.levels is None
        self.predict = predict or ("v" if real else "levels")
        levels = self.predict == "levels"
        self.variance = variance or ("predicted" if levels else "normal" if real else "zero")
        if self.predict not in PREDICTIONS:
            raise UsageError(f"predict={predict!r} must be one of {', '.join(PREDICTIONS)}")
        if self.variance not in VARIANCES:
            raise UsageError(f"variance={variance!r} must be one of {', '.join(VARIANCES)}")
        if self.variance == "predicted" and not levels:
            raise UsageError(
                "variance='predicted' needs predict='levels'; use 'learned', 'analytic', 'normal' or 'zero'"
            )
        self.prior = prediction_for(spec, self.predict, rank)
        self.variance_of = VARIANCES[self.variance]()
        told: dict[str, Any] = {"classes": classes} if classes else {}
        outputs = self.prior.outputs + self.variance_of.outputs
        self.network = network(spec.shape, outputs, **told)

    def begin(self, batch: Batch) -> None:
        """Learn from the training data what is known without a network."""
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
        said = self.prior.outputs
        x = self.prior.moments(z, log_snr, f[..., :said])
        return Moments(x.mean, self.variance_of(z, log_snr, x.variance, f[..., said:]))

    def _network(self, z: Tensor, log_snr: Tensor, label: Tensor | None) -> Tensor:
        told = () if label is None else (label,)
        seen = self.prior.seen(z, log_snr)
        return self.network(seen, log_snr.to(z.dtype).expand(len(z)), *told)


def prediction_for(spec: DataSpec, predict: str, rank: int) -> Prediction:
    if predict == "levels":
        return Levels(spec, rank)
    if predict == "edm":
        return Preconditioning(spec)
    return {"x0": X0, "epsilon": Epsilon, "v": V}[predict]()
