"""From noise to data: samplers walk z_t from t = 1 to t = 0 and hand out every state on the way.

A sampler is an iterator over states, z_1 first and z_0 last, so that whatever is drawn and whatever is
shown come from the same walk: ``*_, z = sampler(denoiser, schedule, z, generator=g)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Generator, Tensor

from genlab.contracts import UsageError
from genlab.models.diffusion import reverse
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import Schedule, alpha, sigma
from genlab.randomness import randn_like
from genlab.ranges import at_least

Denoise = Callable[[Tensor, Tensor], Moments]  # z: (B, *shape), log-SNR: () to what x may be


class Sampler(ABC):
    """``steps`` steps from noise to z_0."""

    def __init__(self, steps: int) -> None:
        at_least(1, steps=steps)
        self.steps = steps

    def times(self, device: torch.device) -> Tensor:
        """(steps + 1,) float64, from 1 to 0."""
        return torch.arange(self.steps, -1, -1, device=device, dtype=torch.float64) / self.steps

    @abstractmethod
    def __call__(
        self, denoise: Denoise, schedule: Schedule, z: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        """z: (n, *shape) standard noise, and every state after it, z_0 last."""


class Markov(Sampler):
    """Equal steps of t, each of which sees the state alone; the network is called once in each."""

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


class Ancestral(Markov):
    """Draws z_s ~ p(z_s | z_t): the chain itself, which the variational bound describes."""

    def step(self, z: Tensor, x: Moments, s: Tensor, t: Tensor, generator: Generator) -> Tensor:
        mean, deviation = reverse.step(z, x, s, t)
        return mean + deviation * randn_like(z, generator)


class DDIM(Markov):
    """z_s = α_s x̂ + √(σ_s² - η²v) ε̂ + η√v ε, where v is the variance of q(z_s | z_t, x).

    eta = 0 is deterministic and needs few steps, eta = 1 is ``Ancestral`` with v̂ = 0
    (Song, Meng, Ermon 2020, "Denoising Diffusion Implicit Models", arXiv 2010.02502).
    """

    def __init__(self, steps: int, eta: float = 0.0) -> None:
        super().__init__(steps)
        if not 0 <= eta <= 1:
            raise UsageError(
                f"sampler.eta={eta} must lie between 0 (deterministic) and 1 (ancestral)"
            )
        self.eta = eta

    def step(self, z: Tensor, x: Moments, s: Tensor, t: Tensor, generator: Generator) -> Tensor:
        epsilon = (z - alpha(t) * x.mean) / sigma(t)
        variance = -torch.expm1(t - s) * self.eta**2
        mean = alpha(s) * x.mean + sigma(s) * (1 - variance).sqrt() * epsilon
        return mean + sigma(s) * variance.sqrt() * randn_like(z, generator) if self.eta else mean


class DPMSolver(Sampler):
    """Exact in what is linear, and of second order in x̂ (Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++",
    arXiv 2211.01095): with h = (λ_s − λ_t)/2, half the growth of the log-SNR,

        z_s = (σ_s/σ_t) e^{−ηh} z_t − α_s (e^{−(1+η)h} − 1) x̄ + σ_s √(1 − e^{−2ηh}) ε,

    where x̄ is x̂ extrapolated to the middle of the step: from the step before, h' long,

        x̄ = x̂_t + (x̂_t − x̂_before) h/2h'                            "2M", one call of the network a step,

    or from a visit to the middle of the step itself ("2S", two calls). The first step, and with "2M" the
    last one, is of first order: DDIM. eta: 0 solves the probability flow, 1 the stochastic equation whose
    noise makes up for errors of x̂ (SDE-DPM-Solver++, "2M" alone).
    """

    def __init__(self, steps: int, order: Literal["2M", "2S"] = "2M", eta: float = 0.0) -> None:
        super().__init__(steps)
        if order not in ("2M", "2S"):
            raise UsageError(f"sampler.order={order}: expected 2M or 2S")
        if not 0 <= eta <= 1:
            raise UsageError(
                f"sampler.eta={eta} must lie between 0 (deterministic) and 1 (stochastic)"
            )
        if eta and order == "2S":
            raise UsageError(f"sampler.eta={eta} goes with sampler.order=2M: leave one of them out")
        self.order, self.eta = order, eta

    def __call__(
        self, denoise: Denoise, schedule: Schedule, z: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        yield z
        before: tuple[Tensor, Tensor] | None = None
        log_snrs = schedule(self.times(z.device))
        for i, (t, s) in enumerate(pairwise(log_snrs)):
            x = denoise(z, t).mean
            if self.order == "2S":
                middle = (s + t) / 2
                x = denoise(_linear(z, x, middle, t), middle).mean
            elif before is not None and i < self.steps - 1:
                x_before, t_before = before
                x, before = x + (x - x_before) * ((s - t) / (t - t_before) / 2), (x, t)
            else:
                before = (x, t)
            z = _linear(z, x, s, t, self.eta)
            if self.eta:
                z = z + sigma(s) * (-torch.expm1(self.eta * (t - s))).sqrt() * randn_like(
                    z, generator
                )
            yield z


class Heun(Sampler):
    """The probability flow by Heun's rule in y = z/α with the noise level ς = σ/α as time, where it is
    dy/dς = (y − x̂)/ς, two calls of the network a step (Karras, Aittala, Aila, Laine 2022, "Elucidating the
    Design Space of Diffusion-Based Generative Models", arXiv 2206.00364, algorithm 2).

    Levels are spaced by ς^(1/rho). churn: S_churn, how much noise is added before each step and taken away
    by it; 0 is deterministic.
    """

    def __init__(self, steps: int, churn: float = 0.0, rho: float = 7.0) -> None:
        super().__init__(steps)
        if churn < 0 or rho <= 0:
            raise UsageError(
                f"sampler.churn={churn} must be at least 0 and rho={rho} greater than 0"
            )
        self.churn, self.rho = churn, rho

    def __call__(
        self, denoise: Denoise, schedule: Schedule, z: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        yield z
        levels = self.levels(*schedule(torch.tensor([1.0, 0.0], dtype=torch.float64)).tolist())
        y = z / _kept(levels[0])
        for here, there in pairwise(levels):
            y, here = self._churned(y, here, levels[0], generator)
            slope = (y - _mean(denoise, y, here)) / here
            guess = y + (there - here) * slope
            end = (guess - _mean(denoise, guess, there)) / there
            y = y + (there - here) * (slope + end) / 2
            yield y * _kept(there)

    def levels(self, first: float, last: float) -> list[float]:
        """ς at each state, from the log-SNR ``first`` to ``last``."""
        high, low = (math.exp(-log_snr / 2 / self.rho) for log_snr in (first, last))
        return [(high + i / self.steps * (low - high)) ** self.rho for i in range(self.steps + 1)]

    def _churned(
        self, y: Tensor, level: float, most: float, generator: Generator
    ) -> tuple[Tensor, float]:
        """y with more noise, never more than at the start."""
        gain = min(self.churn / self.steps, math.sqrt(2) - 1)
        higher = min(level * (1 + gain), most)
        if higher <= level:
            return y, level
        return y + math.sqrt(higher**2 - level**2) * randn_like(y, generator), higher


def _linear(z: Tensor, x: Tensor, s: Tensor, t: Tensor, eta: float = 0.0) -> Tensor:
    """The mean of z_s given z_t if x̂ were x all the way; exact for any step."""
    h = (s - t) / 2
    kept = sigma(s) / sigma(t) * (-eta * h).exp()
    return kept * z - alpha(s) * torch.expm1(-(1 + eta) * h) * x


def _kept(level: float) -> float:
    """α where σ/α is this."""
    return 1 / math.sqrt(1 + level**2)


def _mean(denoise: Denoise, y: Tensor, level: float) -> Tensor:
    """x̂ at y = z/α."""
    log_snr = torch.tensor(-2 * math.log(level), dtype=torch.float64, device=y.device)
    return denoise(y * _kept(level), log_snr).mean
