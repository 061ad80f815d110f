"""Generative moment matching networks: samples whose distance from the data, the MMD, is made small.

Noise z, uniform on [−1, 1]^k, is mapped by a network to a code h = g(z), and the code to a datum. Training
makes the maximum mean discrepancy between codes g(z) and codes of data small (``genlab.nn.mmd``); no
likelihood is involved, and no second network that tells samples from data.

    GMMN       the code is the datum itself
    GMMN+AE    the code is that of an auto-encoder trained before, and its decoder makes the datum

What a datum is, given θ of its entries (``outputs``): on LEVELS sigmoid(θ), rounded to the nearest level;
on REAL θ itself, so that there is no density; on BINARY bits of probability sigmoid(θ), so that

    p(x) = ∫ U(z) Π_d Bernoulli(x_d; sigmoid θ_d(z)) dz

has an unbiased estimate in draws of z (``weights``). A GMMN is matched on draws of those bits, with
straight-through gradients.

- Yujia Li, Kevin Swersky, Richard Zemel: Generative Moment Matching Networks. ICML 2015,
  https://arxiv.org/abs/1502.02761
- Gintare Karolina Dziugaite, Daniel Roy, Zoubin Ghahramani: Training generative neural networks via
  maximum mean discrepancy optimization. UAI 2015, https://arxiv.org/abs/1505.03906
"""

from genlab.models.moment_matching.autoencoder import (
    BernoulliGMMNAutoencoder,
    GMMNAutoencoder,
    gmmn_ae,
)
from genlab.models.moment_matching.model import GMMN, BernoulliGMMN, gmmn

__all__ = [
    "GMMN",
    "BernoulliGMMN",
    "BernoulliGMMNAutoencoder",
    "GMMNAutoencoder",
    "gmmn",
    "gmmn_ae",
]
