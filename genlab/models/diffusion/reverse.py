"""One step back: p(z_s | z_t), s < t, Gaussian, from a prediction x̂ of the datum.

Given x, the state before z_t is known exactly. With c = 1 - SNR_t / SNR_s,

    q(z_s | z_t, x) = N(z_s;  (α_s / α_t)(1 - c) z_t + α_s c x,  σ_s² c),

and the model puts x̂ in the place of x, with one of two fixed variances (Ho, Jain, Abbeel 2020,
arXiv 2006.11239, section 3.2):

    "posterior"  σ_s² c, that of q itself: right where z_t all but determines x, as with levels;
    "forward"    σ_t² c, that of q(z_t | z_s): right for x ~ N(0, I), and at high SNR for every smooth
                 density.

The divergence is then known in closed form, KL(q || p) = w |x - x̂|² + D k, with
w = ½ (SNR_s - SNR_t) r and k = ½ (r - 1 - log r), where r = 1 for "posterior" and σ_s² / σ_t² for
"forward" (Kingma, Salimans, Poole, Ho 2021, arXiv 2107.00630, appendix A, has the case r = 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import UsageError
from genlab.models.diffusion.schedules import alpha

VARIANCES = ("posterior", "forward")


@dataclass(frozen=True)
class Reverse:
    """The reverse step with this variance; s and t are the log-SNRs at its two ends, of any shape."""

    variance: str = "posterior"

    def __post_init__(self) -> None:
        if self.variance not in VARIANCES:
            raise UsageError(f"variance={self.variance!r} must be one of {', '.join(VARIANCES)}")

    def ratio(self, s: Tensor, t: Tensor) -> Tensor:
        """log r, the logarithm of posterior over used variance."""
        if self.variance == "posterior":
            return torch.zeros_like(t)
        return F.logsigmoid(-s) - F.logsigmoid(-t)

    def step(self, z: Tensor, x: Tensor, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of z_s, given z = z_t and a prediction x of the datum."""
        keep, pull = (t - s).exp(), -torch.expm1(t - s)
        mean = alpha(s) * (keep / alpha(t) * z + pull * x)
        return mean, (torch.sigmoid(-s) * pull / self.ratio(s, t).exp()).sqrt()

    def divergence(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(w, k) of KL = w |x - x̂|² + D k, in nats."""
        log_r = self.ratio(s, t)
        weight = t.exp() * torch.expm1(s - t) * log_r.exp() / 2
        return weight, (torch.expm1(log_r) - log_r) / 2
