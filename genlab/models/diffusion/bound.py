"""The variational bound: three costs in nats whose sum is above −log p(x).

    prior            KL( q(z_1 | x) || N(0, I) )
    diffusion        what all steps from z_1 to z_0 cost
    reconstruction   E( −log p(x | z_0) )

With T steps, the diffusion costs Σ_{i=1..T} E KL( q(z_s | z_t, x) || p(z_s | z_t) ), t = i/T, s = t − 1/T.
In continuous time, which is the limit of T → ∞, it costs

    ½ ∫ E |x − x̂(z_λ, λ)|² dSNR  =  ½ E_t [ (−dλ/dt) SNR |x − x̂|² ]  =  ½ E_t [ (−dλ/dt) |ε − ε̂|² ],

whatever variance the steps back have, and whatever way λ takes between the ends of the schedule (Kingma,
Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630, section 5). Both are means over
times t that are uniform in [0, 1), and are estimated as such (``times``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from genlab.contracts import UsageError
from genlab.models.diffusion.decoder import Decoder
from genlab.models.diffusion.noising import noised
from genlab.models.diffusion.reverse import divergence
from genlab.models.diffusion.samplers import Denoise
from genlab.models.diffusion.schedules import Schedule
from genlab.models.diffusion.times import step_of, strata


class Time(ABC):
    """name: for a score's method."""

    name: str

    @abstractmethod
    def cost(
        self,
        denoise: Denoise,
        schedule: Schedule,
        signal: Tensor,
        t: Tensor,
        generator: Generator | None,
    ) -> Tensor:
        """(B,) float64 nats, whose mean over uniform t: (B,) is the cost of the diffusion."""

    @abstractmethod
    def visits(self, wanted: int) -> int:
        """How many times are visited per datum; wanted: 0 for all that there are."""


class Discrete(Time):
    """T = ``steps`` steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.name = steps, f"T={steps}"

    def cost(
        self,
        denoise: Denoise,
        schedule: Schedule,
        signal: Tensor,
        t: Tensor,
        generator: Generator | None,
    ) -> Tensor:
        i = step_of(t, self.steps)
        before, after = schedule(i / self.steps), schedule((i + 1) / self.steps)
        z, _ = noised(signal, after, generator)
        each = divergence(signal, denoise(z, after), before, after)
        return (self.steps * each.flatten(1).sum(1)).double()

    def visits(self, wanted: int) -> int:
        return min(wanted, self.steps) or self.steps


class Continuous(Time):
    name = "continuous time"

    def cost(
        self,
        denoise: Denoise,
        schedule: Schedule,
        signal: Tensor,
        t: Tensor,
        generator: Generator | None,
    ) -> Tensor:
        log_snr = schedule(t)
        z, _ = noised(signal, log_snr, generator)
        error = (signal - denoise(z, log_snr).mean).square().flatten(1).sum(1).double()
        return schedule.rate(t) * log_snr.exp() * error / 2

    def visits(self, wanted: int) -> int:
        if not wanted:
            raise UsageError(
                "model.bound_steps and model.val_steps must be 1 or more in continuous time: 0 stands for "
                "all steps, of which there is no end"
            )
        return wanted


class Bound:
    """The three terms, (B,) float64 each, of a datum x: (B, *shape) as the data module delivers it."""

    def __init__(self, schedule: Schedule, decoder: Decoder, time: Time) -> None:
        self.schedule, self.decoder, self.time = schedule, decoder, time

    def at(self, x: Tensor, t: Tensor, denoise: Denoise) -> dict[str, Tensor]:
        """With the diffusion seen at one time t: (B,) of each datum, and torch's default generator."""
        signal = self.decoder.embed(x)
        ends = {"prior": self.prior(signal), "reconstruction": self.reconstruction(x, None)}
        return ends | {"diffusion": self.time.cost(denoise, self.schedule, signal, t, None)}

    def over(
        self, x: Tensor, visits: int, denoise: Denoise, generator: Generator | None
    ) -> dict[str, Tensor]:
        """With the diffusion seen at ``visits`` times of each datum, 0 for all there are."""
        signal, visits = self.decoder.embed(x), self.time.visits(visits)
        diffusion = torch.zeros(len(x), device=x.device, dtype=torch.float64)
        for t in strata(len(x), visits, generator, x.device):
            diffusion += self.time.cost(denoise, self.schedule, signal, t, generator)
        return {
            "prior": self.prior(signal),
            "diffusion": diffusion / visits,
            "reconstruction": self.reconstruction(x, generator),
        }

    def prior(self, signal: Tensor) -> Tensor:
        last = self.schedule(torch.ones((), device=signal.device, dtype=torch.float64))
        a2, s2 = torch.sigmoid(last), torch.sigmoid(-last)
        per_entry = a2 * signal.double().square() + (s2 - 1 - s2.log())
        return per_entry.flatten(1).sum(1) / 2

    def reconstruction(self, x: Tensor, generator: Generator | None) -> Tensor:
        """−log p(x | z_0) at a draw of z_0."""
        first = self.schedule(torch.zeros((), device=x.device, dtype=torch.float64))
        z, _ = noised(self.decoder.embed(x), first, generator)
        return -self.decoder.log_prob(x, z, first).flatten(1).sum(1).double()


def sum_terms(terms: dict[str, Tensor]) -> Tensor:
    """(B,) nats above −log p(x)."""
    return torch.stack(list(terms.values())).sum(0)
