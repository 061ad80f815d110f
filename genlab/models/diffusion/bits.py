"""Diffusion of bits: data are noise of which every entry is found out, step by step.

The chain forgets bits (``bit_kernels``) until nothing is left of a datum; its steps back are learned. As
nothing is left after T steps, s_T has no divergence from its prior, and

    −log p(x) ≤ Σ_{t=1..T} E KL( q(s_{t−1} | s_t, x) || p(s_{t−1} | s_t) ),

where the last term, t = 1, is the cost of the datum itself given s_1. The bound is one of a mass, and
stands beside those of all other models of bits. The network corrects what the marginals of the training
data and s_t say of an entry alone, so that training begins at the independent model's own number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from genlab import randomness
from genlab.contracts import (
    Batch,
    Completes,
    DataSpec,
    Evidence,
    Figure,
    GenerativeModel,
    Guarantee,
    HasFigures,
    HasLikelihood,
    Images,
    LogLikelihood,
    Measure,
    Observed,
    Stage,
    Support,
    TakesSampler,
    UsageError,
)
from genlab.models.diffusion.bit_kernels import Absorbing, Binomial, BitKernel
from genlab.models.diffusion.bit_samplers import BitSampler, Strided, Unmasking
from genlab.models.diffusion.denoisers import Network
from genlab.models.diffusion.networks import Dense
from genlab.models.diffusion.particles import Population
from genlab.models.diffusion.times import even, step_of, strata
from genlab.nn.heads import Bernoulli
from genlab.ranges import at_least

FRAMES = 12
FEW = 4  # steps of the samplers that it names


class BitDiffusion(GenerativeModel, HasLikelihood, Completes, TakesSampler, HasFigures):
    """Diffusion of bits: a network takes back how they are forgotten (Sohl-Dickstein et al. 2015).

    kernel: how bits are forgotten; None is ``Binomial``. network: called with (shape, outputs).
    bound_steps: how many of the T steps ``log_likelihood`` visits per datum, one in each
    of as many strata; 0 visits all. val_steps: the same for ``validate``. particles: that walk the
    chain for each completion, one of which is drawn.
    """

    supports = frozenset({Support.BINARY})
    completes = frozenset({Observed})
    guarantee = Guarantee.LOWER_BOUND

    def __init__(
        self,
        spec: DataSpec,
        kernel: BitKernel | None = None,
        network: Network = Dense,
        bound_steps: int = 50,
        val_steps: int = 10,
        particles: int = 16,
    ) -> None:
        super().__init__(spec)
        at_least(1, particles=particles)
        at_least(0, bound_steps=bound_steps, val_steps=val_steps)
        self.kernel = kernel or Binomial()
        self.network = network(spec.shape, 1)
        self.bound_steps, self.val_steps, self.particles = bound_steps, val_steps, particles
        self.marginal: Tensor
        self.register_buffer("marginal", torch.full(spec.shape, 0.5, dtype=torch.float64))

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        about = "variational bound on −log p(x)"
        fit = Stage(
            "fit", self, self.loss, lr_schedule="cosine", ema=0.995, begin=self.begin, about=about
        )
        return (fit,)

    @torch.no_grad()
    def begin(self, batch: Batch) -> None:
        self.marginal.copy_(Bernoulli().marginal(batch.x.double()).squeeze(-1).sigmoid())

    def loss(self, batch: Batch) -> Tensor:
        """Nats per datum: one step t per datum, spread evenly over the batch, estimates the bound."""
        steps = self.kernel.steps
        t = step_of(even(len(batch.x), batch.x.device), steps) + 1
        return steps * self._divergence(batch.x.double(), t, None).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        generator = randomness.generator("diffusion", "validate", device=batch.x.device)
        return {"nll_bound": self.bound(batch.x, generator=generator, steps=self.val_steps)}

    # ----------------------------------------------------------------------------------- likelihood

    @torch.no_grad()
    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """The bound with ``bound_steps`` of the T steps."""
        self.refuse_label(label)
        method = f"variational bound, T={self.kernel.steps}"
        nats = -self.bound(x, generator=generator)
        return LogLikelihood(nats, self.guarantee, Measure.of(self.spec), method)

    def bound(self, x: Tensor, *, generator: Generator, steps: int | None = None) -> Tensor:
        """(B,) nats: an estimate of −log p(x) from above, without bias.

        steps: how many of the T steps are visited per datum, 0 for all; None is ``bound_steps``.
        """
        total = self.kernel.steps
        visits = min(self.bound_steps if steps is None else steps, total) or total
        cost = torch.zeros(len(x), device=x.device, dtype=torch.float64)
        for t in strata(len(x), visits, generator, x.device):
            cost += self._divergence(x.double(), step_of(t, total) + 1, generator)
        return cost * (total / visits)

    def _divergence(self, x: Tensor, t: Tensor, generator: Generator | None) -> Tensor:
        """(B,) nats of step t: (B,), at a draw of s_t."""
        s = self.kernel.noised(x, t, self.marginal, generator)
        each = self.kernel.divergence(x, s, self.logits(s, t), t, self.marginal)
        return each.flatten(1).sum(1)

    def logits(self, s: Tensor, t: Tensor) -> Tensor:
        """(B, *shape) float64: log-odds that an entry of the datum is 1, given s_t; t: (B,) or ()."""
        total = self.kernel.steps
        kept = ((total - t + 0.5) / (t + 0.5)).log().expand(len(s))
        found = self.network(s.to(self.dtype), kept.to(self.dtype))
        return found.squeeze(-1).double() + self.kernel.evidence(s, t, self.marginal)

    # ------------------------------------------------------------------------------------- sampling

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        return self.sample_by(None, n, label=label, generator=generator)

    @property
    def samplers(self) -> Sequence[BitSampler]:
        steps = min(FEW, self.kernel.steps)
        if not isinstance(self.kernel, Absorbing):
            return (Strided(steps),)
        return Strided(steps), Unmasking(min(steps, self.spec.size))

    def sample_by(
        self,
        sampler: Any | None,
        n: int,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Tensor:
        self.refuse_label(label)
        if guidance != 1:
            raise UsageError(f"guidance={guidance:g} goes with a label, and this model has none")
        if sampler is not None and not isinstance(sampler, BitSampler):
            raise UsageError(
                f"sampler: {type(sampler).__name__} takes Gaussian noise away, and this model forgets "
                "bits: use sampler=strided or sampler=unmasking"
            )
        if sampler is not None:
            sampler.check(self.kernel, self.spec)
        *_, s = self.denoise(n, sampler, generator=generator)
        return (s > 0).float()

    @torch.no_grad()
    def denoise(
        self, n: int, sampler: BitSampler | None = None, *, generator: Generator
    ) -> Iterator[Tensor]:
        """(n, *shape) states from s_T to s_0. sampler: None is the chain that the bound describes."""
        walk = sampler or Strided(self.kernel.steps)
        start = self._end(n, generator)
        yield from walk(self.kernel, self.logits, start, self.marginal, generator=generator)

    def _end(self, n: int, generator: Generator) -> Tensor:
        """(n, *shape) draws of s_T, which know nothing of a datum."""
        nothing = self.marginal.new_zeros(n, *self.spec.shape)
        return self.kernel.noised(nothing, self._times()[0], self.marginal, generator)

    def _times(self) -> Tensor:
        """(T,) from T to 1."""
        steps = self.kernel.steps
        return torch.arange(steps, 0, -1, device=self.marginal.device, dtype=torch.float64)

    @torch.no_grad()
    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): particles walk the chain with what is observed going where its exact posterior
        leads, and are weighted by how probable the model finds that. Towards p(x | observed) the more of
        them there are.
        """
        self.refuse_label(label)
        if not isinstance(evidence, Observed):
            raise UsageError(
                f"BitDiffusion completes Observed evidence, not {type(evidence).__name__}"
            )
        many = n * self.particles
        seen = evidence.map(lambda each: each.repeat_interleave(many, 0))
        known = (2 * seen.x.double() - 1) * torch.inf
        population = Population(n * len(evidence), self.particles, generator)
        s = self._end(len(seen), generator)
        for t in self._times():
            rows = population.survivors()
            s = s if rows is None else s[rows]
            logits = self.logits(s, t)
            led = torch.where(seen.mask, known, logits)
            to = self.kernel.back(s, led, t, self.marginal, generator)
            log_p, log_q = (
                self.kernel.log_prob(to, s, each, t, self.marginal) for each in (logits, led)
            )
            population.weigh(torch.where(seen.mask, log_p - log_q, 0.0).flatten(1).sum(1))
            s = to
        drawn = (s[population.one_of_each()] > 0).float()
        return drawn.unflatten(0, (-1, n)).transpose(0, 1)

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if not self.spec.is_picture:
            return
        last = self.kernel.steps
        shown = {round(k * last / (FRAMES - 1)) for k in range(FRAMES)}
        walk = enumerate(self.denoise(8, generator=generator))
        states = torch.stack([s for step, s in walk if step in shown], dim=1)
        hidden = " Grey is not known yet." if (states == 0).any() else ""
        yield Figure(
            "denoising-chain",
            f"Each row is a sample being found out of noise, in {last} steps from left to right.{hidden}",
            Images(((states + 1) / 2).float()),
            animated=True,
        )
