"""The probability-flow ODE of a diffusion, with the log-SNR λ itself as time.

z = α x + σ ε with α² = sigmoid(λ) and σ² = sigmoid(-λ), so that

    d(α²)/dλ = α² σ²,    hence    dα/dλ = ½ α σ²    and    dσ/dλ = -½ σ α².

The deterministic path that has the marginals of the noising process keeps datum and noise at what z says
of them, x̂ = E[x | z] and ε̂ = (z - α x̂) / σ = -σ ∇log p(z) (Song et al. 2021, "Score-Based Generative
Modeling through Stochastic Differential Equations", arXiv 2011.13456, section 4.3; Kingma, Salimans,
Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630, for λ as time):

    dz/dλ = (dα/dλ) x̂ + (dσ/dλ) ε̂ = ½ (α σ² x̂ - σ α² ε̂) = ½ α (x̂ - α z).

The last form is free of σ and loses no digits where σ is small. λ falls from ``log_snr_max``, where the
data are embedded, to ``log_snr_min``, where z is taken for a draw of N(0, I). Neither the schedule
between them nor the number of steps of the chain has any part in it: this is another distribution than
the one that the chain draws from, and that the variational bound describes.
"""

from __future__ import annotations

import math

from torch import Generator, Tensor

from genlab.models.diffusion.decoder import Decoder, RealDecoder
from genlab.models.diffusion.schedules import alpha, sigma, spread
from genlab.randomness import randn_like


def velocity(z: Tensor, mean: Tensor, log_snr: Tensor) -> Tensor:
    """dz/dλ: (B, *shape) at z, of which the denoiser says the mean x̂; log_snr: ()."""
    a = spread(alpha(log_snr), z)
    return a * (mean - a * z) / 2


def embed(
    x: Tensor, decoder: Decoder, log_snr: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """z_0: (B, *shape) and log_scale: (B,) with p(x) = E[exp(log_scale) p(z_0)]; log_snr: () at t = 0.

    Reals are scaled, z_0 = α x. Of discrete data z_0 ~ q(z_0 | x) = N(α x, σ²) is drawn, and weighted by
    p(x | z_0) / q(z_0 | x): variational dequantisation (Ho, Chen, Srinivas, Duan, Abbeel 2019, "Flow++",
    arXiv 1902.00275). At an SNR that tells the levels apart, it is nearly tight with a single draw.
    """
    signal = decoder.embed(x)
    a, s = spread(alpha(log_snr), signal), spread(sigma(log_snr), signal)
    if isinstance(decoder, RealDecoder):
        return a * signal, alpha(log_snr).log().expand(len(x)) * signal[0].numel()
    epsilon = randn_like(signal, generator)
    z = a * signal + s * epsilon
    log_p = decoder.log_prob(x, z, log_snr).double().flatten(1).sum(1)
    return z, log_p - normal(epsilon) + sigma(log_snr).log() * signal[0].numel()


def normal(z: Tensor) -> Tensor:
    """(B,) float64: log N(z; 0, I) of z: (B, …)."""
    per_entry = z.double().square() + math.log(2 * math.pi)
    return -per_entry.flatten(1).sum(1) / 2
