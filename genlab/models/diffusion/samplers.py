"""From noise to data: samplers walk z_t from t = 1 to t = 0 and hand out every state on the way.

A sampler is an iterator over states, z_1 first and z_0 last, so that whatever is drawn and whatever is
shown come from the same walk: ``*_, z = sampler(denoiser, schedule, z, generator=g)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Generator, Tensor

from genlab.contracts import UsageError
from genlab.models.diffusion import reverse
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import Schedule, alpha, sigma

Denoise = Callable[[Tensor, Tensor], Moments]  # z: (B, *shape), log-SNR: () to what x may be


class Sampler(ABC):
    """``steps`` equal steps of t; the network is called once in each."""

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise UsageError(f"steps={steps} must be at least 1")
        self.steps = steps

    def times(self, device: torch.device) -> Tensor:
        """(steps + 1,) float64, from 1 to 0."""
        return torch.arange(self.steps, -1, -1, device=device, dtype=torch.float64) / self.steps

    def __call__(
        self, denoise: Denoise, schedule: Schedule, z: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        yield z
        for t, s in pairwise(schedule(self.times(z.device))):
            z = self.step(z, denoise(z, t), s, t, generator)
            yield z

    @abstractmethod
    def step(self, z: Tensor, x: Moments, s: Tensor, t: Tensor, generator: Generator) -> Tensor:
        """z_s from z = z_t and the moments of x given z; s and t are log-SNRs."""


class Ancestral(Sampler):
    """Draws z_s ~ p(z_s | z_t): the chain itself, which the variational bound describes."""

    def step(self, z: Tensor, x: Moments, s: Tensor, t: Tensor, generator: Generator) -> Tensor:
        mean, deviation = reverse.step(z, x, s, t)
        return mean + deviation * noise(z, generator)


class DDIM(Sampler):
    """z_s = α_s x̂ + √(σ_s² - η²v) ε̂ + η√v ε, where v is the variance of q(z_s | z_t, x).

    eta = 0 is deterministic and needs few steps, eta = 1 is ``Ancestral`` with v̂ = 0
    (Song, Meng, Ermon 2020, "Denoising Diffusion Implicit Models", arXiv 2010.02502).
    """

    def __init__(self, steps: int, eta: float = 0.0) -> None:
        super().__init__(steps)
        if not 0 <= eta <= 1:
            raise UsageError(f"eta={eta} must lie between 0 (deterministic) and 1 (ancestral)")
        self.eta = eta

    def step(self, z: Tensor, x: Moments, s: Tensor, t: Tensor, generator: Generator) -> Tensor:
        epsilon = (z - alpha(t) * x.mean) / sigma(t)
        variance = -torch.expm1(t - s) * self.eta**2
        mean = alpha(s) * x.mean + sigma(s) * (1 - variance).sqrt() * epsilon
        return mean + sigma(s) * variance.sqrt() * noise(z, generator) if self.eta else mean


def noise(like: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal numbers; None draws them from torch's default generator."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
