"""Multiplying the distribution of a diffusion with another, r(x): draws of what evidence leaves open.

The chain from z_1 to z_0 and x has p(x) at its end. To have p(x) r(x) there, particles walk the same
chain, each step pulled towards the evidence by the gradient of the twist log r̃(z_t) (``targets``),

    q(z_s | z_t) = N(μ + Σ ∇ log r̃(z_t), Σ)   in the place of   p(z_s | z_t) = N(μ, Σ),

and weighted by p(z_s | z_t) r̃(z_s) / (q(z_s | z_t) r̃(z_t)), so that whatever the twist, the ends have
the right distribution as their number grows (Wu, Trippe, Naesseth, Blei, Cunningham 2023, "Practical
and Asymptotically Exact Conditional Sampling in Diffusion Models", arXiv 2306.17775). The product
itself: Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli 2015, arXiv 1503.03585, section 2.5.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Generator, Tensor

from genlab.models.diffusion import reverse
from genlab.models.diffusion.particles import Population
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.samplers import Ancestral, Denoise
from genlab.models.diffusion.schedules import Schedule
from genlab.models.diffusion.targets import Target
from genlab.randomness import randn_like

FURTHEST = 10.0  # deviations that a step is pulled: a denoiser too sure of x would pull without end


def draw(
    denoise: Denoise,
    schedule: Schedule,
    chain: Ancestral,
    target: Target,
    z: Tensor,
    particles: int,
    generator: Generator,
) -> Tensor:
    """(S, *shape): a draw for each of S populations; z: (S · particles, *shape) standard noise, of which
    target knows the evidence.
    """
    population = Population(len(z) // particles, particles, generator)
    log_snrs = schedule(chain.times(z.device))
    x, log_r, pull = _twisted(denoise, target, z, log_snrs[0])
    population.weigh(log_r)
    for t, s in pairwise(log_snrs):
        rows = population.survivors()
        if rows is not None:
            z, log_r, pull = z[rows], log_r[rows], pull[rows]
            x = Moments(x.mean[rows], x.variance.expand_as(x.mean)[rows])
        mean, deviation = reverse.step(z, x, s, t)
        e = randn_like(z, generator)
        shift = (deviation * pull).clamp(-FURTHEST, FURTHEST)
        z = mean + deviation * (shift + e)
        before = log_r
        x, log_r, pull = _twisted(denoise, target, z, s)
        population.weigh(log_r - before - _gain(e, shift))
    data, constant = target.finish(z, log_snrs[-1], generator)
    population.weigh(constant - log_r)
    return data[population.one_of_each()]


def _gain(e: Tensor, shift: Tensor) -> Tensor:
    """(n,) log q/p of a step with noise e that was shifted: both Gaussian, of deviation one."""
    return (e * shift + shift.square() / 2).flatten(1).sum(1)


def _twisted(
    denoise: Denoise, target: Target, z: Tensor, log_snr: Tensor
) -> tuple[Moments, Tensor, Tensor]:
    """Moments of x, log r̃: (n,) and its gradient: (n, *shape), at z."""
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        x = denoise(z, log_snr)
        log_r = target.twist(x)
        (pull,) = torch.autograd.grad(log_r.sum(), z)
    return Moments(x.mean.detach(), x.variance.detach()), log_r.detach(), pull
