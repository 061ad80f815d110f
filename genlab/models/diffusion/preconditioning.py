"""EDM's preconditioning: a network whose inputs and targets have unit variance at every noise level.

With y = z/α = x + ς ε, ς = σ/α, and σ_d the deviation of the data, the network F gives

    x̂ = c_skip y + c_out F(c_in y, λ),    c_skip = σ_d² / (ς² + σ_d²),
    c_out = ς σ_d / √(ς² + σ_d²),         c_in = 1 / √(ς² + σ_d²),

written here with z and r² = α² σ_d² + σ², the variance of z, so that nothing is lost at either end:

    x̂ = (α σ_d² / r²) z + (σ σ_d / r) F(z / r, λ).

Networks are told λ = −8 c_noise in the place of c_noise = ¼ ln ς, and make features of it. For σ_d = 1
this is the prediction of −v. Karras, Aittala, Aila, Laine 2022, "Elucidating the Design Space of
Diffusion-Based Generative Models", arXiv 2206.00364, table 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.contracts import DataSpec
from genlab.models.diffusion.decoder import decoder_for
from genlab.models.diffusion.predictions import Prediction
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, sigma, spread

PAPER = 0.5  # σ_d of the paper's images; the two numbers below are for it
P_MEAN, P_STD = -1.2, 1.2  # of ln ς in training


class Preconditioning(Prediction):
    """sigma_data: (), the root mean square of the entries of the training data, as the chain sees them: it
    gives input and target a second moment of 1 even where the mean of the data is not 0.
    """

    sigma_data: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.decoder = decoder_for(spec)
        self.register_buffer("sigma_data", torch.tensor(PAPER))

    def fit(self, x: Tensor) -> None:
        self.sigma_data.copy_(self.decoder.embed(x).double().square().mean().sqrt())

    def seen(self, z: Tensor, log_snr: Tensor) -> Tensor:
        """c_in y"""
        return z / self._deviation(z, log_snr)

    def moments(self, z: Tensor, log_snr: Tensor, f: Tensor) -> Moments:
        """x̂ = c_skip y + c_out f"""
        a, s = spread(alpha(log_snr), z), spread(sigma(log_snr), z)
        d, r = self.sigma_data.to(z.dtype), self._deviation(z, log_snr)
        return Moments(a * (d / r).square() * z + s * d / r * f.squeeze(-1), z.new_zeros(()))

    def _deviation(self, z: Tensor, log_snr: Tensor) -> Tensor:
        """r"""
        a2, s2 = spread(torch.sigmoid(log_snr), z), spread(torch.sigmoid(-log_snr), z)
        return (a2 * self.sigma_data.to(z.dtype).square() + s2).sqrt()

    def log_normal(self, t: Tensor) -> Tensor:
        """λ = −2 ln ς at the quantiles t: (…) in (0, 1) of ln (ς / σ_d), which is normal: training sees
        the noise relative to the data that the paper's does.
        """
        relative = P_MEAN - math.log(PAPER) + P_STD * torch.special.ndtri(t)
        return -2 * (relative + self.sigma_data.double().log())
