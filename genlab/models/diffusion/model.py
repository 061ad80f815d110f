"""A diffusion model: data are noise from which the noise has been taken away, step by step.

Noise is added by z_t = α_t x + σ_t ε (``schedules``). T steps back from t = 1 to t = 0, each a Gaussian
that follows from what z_t says about the datum (``denoisers``, ``reverse``), and a last one from z_0
to the support of the data (``decoder``) make a model p(x). Its log-likelihood is bounded by

    log p(x) ≥ - KL( q(z_1 | x) || N(0, I) )                                   "prior"
               - Σ_{i=1..T} E KL( q(z_s | z_t, x) || p(z_s | z_t) )            "diffusion"
               - E( -log p(x | z_0) ),     t = i / T,  s = (i - 1) / T         "reconstruction"

and ``sample`` walks that same chain, so the bound describes what is drawn.

- Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli 2015, "Deep Unsupervised Learning using
  Nonequilibrium Thermodynamics", arXiv 1503.03585
- Ho, Jain, Abbeel 2020, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239
- Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

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
    HasVelocity,
    LogLikelihood,
    Measure,
    Noisy,
    Observed,
    Pooled,
    Stage,
    TakesSampler,
    UnsupportedData,
    UsageError,
)
from genlab.models.diffusion import flow, pictures, posterior
from genlab.models.diffusion.decoder import decoder_for
from genlab.models.diffusion.denoisers import Denoiser
from genlab.models.diffusion.reverse import divergence
from genlab.models.diffusion.samplers import Ancestral, Denoise, Sampler, noise
from genlab.models.diffusion.schedules import LogLinear, Schedule, alpha, sigma, spread
from genlab.models.diffusion.targets import target_for


class Diffusion(GenerativeModel, HasLikelihood, HasVelocity, Completes, TakesSampler, HasFigures):
    """schedule: called with levels=…; None is ``LogLinear``. denoiser: called with the spec.

    steps: T. weighting: "bound" trains the bound itself, "simple" the error in ε.
    bound_steps: how many of the T steps ``log_likelihood`` visits per datum, one in each of as many
    strata; 0 visits all. val_steps: the same for ``validate``. particles: that walk the chain for each
    completion, one of which is drawn. labels: tell the network the label of a datum, but of a share
    ``label_dropout`` of the training data, so that one network has p(x) and p(x | label).

    Raises UnsupportedData for labels=True on data without labels, UsageError for a value out of range.
    """

    guarantee = Guarantee.LOWER_BOUND
    completes = frozenset({Observed, Noisy, Pooled})

    def __init__(
        self,
        spec: DataSpec,
        schedule: Callable[..., Schedule] | None = None,
        denoiser: Callable[..., Denoiser] | None = None,
        steps: int = 250,
        weighting: Literal["bound", "simple"] = "bound",
        bound_steps: int = 50,
        val_steps: int = 10,
        particles: int = 16,
        labels: bool = False,
        label_dropout: float = 0.1,
    ) -> None:
        super().__init__(spec)
        if labels and not spec.classes:
            raise UnsupportedData(f"model.labels=true needs data with labels; {spec.name} has none")
        if not 0 <= label_dropout <= 1:
            raise UsageError(f"model.label_dropout={label_dropout} must be in [0, 1]")
        if particles < 1:
            raise UsageError(f"model.particles={particles} must be at least 1")
        if weighting not in ("bound", "simple"):
            raise UsageError(f"model.weighting={weighting}: expected bound or simple")
        if min(bound_steps, val_steps) < 0:
            raise UsageError("bound_steps and val_steps must not be negative; 0 takes all steps")
        self.schedule = (schedule or LogLinear)(levels=spec.levels)
        told: dict[str, Any] = {"classes": spec.classes} if labels else {}
        self.denoiser = (denoiser or Denoiser)(spec, **told)
        self.labels, self.label_dropout = labels, label_dropout
        self.decoder = decoder_for(spec)
        self.chain = Ancestral(steps)
        self.span = (self.schedule.log_snr_max, self.schedule.log_snr_min)
        self.weighting, self.bound_steps, self.val_steps = weighting, bound_steps, val_steps
        self.particles = particles

    # Training

    def stages(self) -> Sequence[Stage]:
        begin = self.denoiser.begin
        return (Stage("fit", self, self.loss, lr_schedule="cosine", ema=0.995, begin=begin),)

    def loss(self, batch: Batch) -> Tensor:
        """Nats per datum: one step t per datum, spread evenly over the batch, estimates the bound."""
        x, label = self.decoder.embed(batch.x), self._some_labels(batch)
        u = torch.rand((), device=x.device, dtype=torch.float64)
        t = (u + torch.arange(len(x), device=x.device) / len(x)) % 1
        if self.weighting == "simple":
            return self._epsilon_error(x, t, label).mean()
        steps = self.chain.steps
        with torch.no_grad():
            constant = self._prior(x) + self._reconstruction(batch.x, None)
        divergence = self._divergence(x, (t * steps).floor(), None, label)
        return (constant + steps * divergence).mean()

    def _some_labels(self, batch: Batch) -> Tensor | None:
        """(B,) labels of the batch, some of them not told."""
        if not self.labels:
            return None
        assert batch.label is not None, "data with classes have labels"
        hidden = torch.rand(len(batch.x), device=batch.x.device) < self.label_dropout
        return batch.label.masked_fill(hidden, self.spec.classes)

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        generator = randomness.generator("diffusion", "validate", device=batch.x.device)
        terms = self.bound(batch.x, generator=generator, steps=self.val_steps)
        return {"nll_bound": sum_terms(terms)}

    # Likelihood

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """The bound with ``bound_steps`` of the T steps; its three terms are in the diagnostics."""
        self._check(label)
        with torch.no_grad():
            terms = self.bound(x, label=label, generator=generator)
        return LogLikelihood(
            -sum_terms(terms),
            self.guarantee,
            Measure.of(self.spec),
            method=f"variational bound, T={self.chain.steps}",
            given="" if label is None else "label",
            diagnostics=dict(terms),
        )

    def bound(
        self,
        x: Tensor,
        *,
        label: Tensor | None = None,
        generator: Generator | None,
        steps: int | None = None,
    ) -> dict[str, Tensor]:
        """The terms (B,), in nats, whose sum estimates -log p(x) from above, without bias.

        steps: how many of the T steps are visited per datum, 0 for all; None is ``bound_steps``.
        """
        signal = self.decoder.embed(x)
        total = self.chain.steps
        visits = min(self.bound_steps if steps is None else steps, total) or total
        diffusion = torch.zeros(len(x), device=x.device, dtype=torch.float64)
        for stratum in range(visits):
            u = torch.rand(len(x), generator=generator, device=x.device, dtype=torch.float64)
            i = ((stratum + u) * (total / visits)).floor()
            diffusion += self._divergence(signal, i, generator, label).double()
        return {
            "prior": self._prior(signal),
            "diffusion": diffusion * (total / visits),
            "reconstruction": self._reconstruction(x, generator),
        }

    def _prior(self, signal: Tensor) -> Tensor:
        """(B,) KL( q(z_1 | x) || N(0, I) )."""
        last = self.schedule(torch.ones((), device=signal.device, dtype=torch.float64))
        a2, s2 = torch.sigmoid(last), torch.sigmoid(-last)
        per_entry = a2 * signal.double().square() + (s2 - 1 - s2.log())
        return per_entry.flatten(1).sum(1) / 2

    def _reconstruction(self, x: Tensor, generator: Generator | None) -> Tensor:
        """(B,) -log p(x | z_0) at a draw of z_0."""
        first = self.schedule(torch.zeros((), device=x.device, dtype=torch.float64))
        z, _ = self._noised(self.decoder.embed(x), first, generator)
        return -self.decoder.log_prob(x, z, first).flatten(1).sum(1).double()

    def _divergence(
        self, signal: Tensor, i: Tensor, generator: Generator | None, label: Tensor | None
    ) -> Tensor:
        """(B,) KL( q(z_s | z_t, x) || p(z_s | z_t) ) of step i: (B,) in 0 … T-1, at a draw of z_t."""
        s, t = self.schedule(i / self.chain.steps), self.schedule((i + 1) / self.chain.steps)
        z, _ = self._noised(signal, t, generator)
        return divergence(signal, self._denoise(label)(z, t), s, t).flatten(1).sum(1)

    def _denoise(self, label: Tensor | None, guidance: float = 1.0) -> Denoise:
        """The denoiser, told a label: (B,)."""
        if label is None:
            return self.denoiser
        return partial(self.denoiser, label=label, guidance=guidance)

    def _epsilon_error(self, signal: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        """(B,) mean squared error of ε̂ = (z - α x̂) / σ."""
        log_snr = self.schedule(t)
        z, epsilon = self._noised(signal, log_snr, None)
        predicted = z - spread(alpha(log_snr), z) * self._denoise(label)(z, log_snr).mean
        error = epsilon - predicted / spread(sigma(log_snr), z)
        return error.square().flatten(1).mean(1)

    def _noised(
        self, signal: Tensor, log_snr: Tensor, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        epsilon = noise(signal, generator)
        z = spread(alpha(log_snr), signal) * signal + spread(sigma(log_snr), signal) * epsilon
        return z, epsilon

    # Probability flow, with the log-SNR as time

    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor:
        self._check(label)
        log_snr = torch.tensor(t, device=z.device, dtype=torch.float64)
        return flow.velocity(z, self._denoise(label)(z, log_snr).mean, log_snr)

    def embed(self, x: Tensor, *, generator: Generator) -> tuple[Tensor, Tensor]:
        first = torch.tensor(self.span[0], device=x.device, dtype=torch.float64)
        return flow.embed(x, self.decoder, first, generator)

    def base_log_prob(self, z: Tensor) -> Tensor:
        return flow.normal(z)

    # Sampling

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        *_, x = self.denoise(n, label=label, generator=generator)
        return x

    def sample_by(
        self,
        sampler: Any | None,
        n: int,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Tensor:
        if guidance != 1 and label is None:
            raise UsageError(f"guidance={guidance:g} goes with a label: name one")
        if sampler is not None and not isinstance(sampler, Sampler):
            raise UsageError(
                f"sampler: {type(sampler).__name__} is not for Gaussian noise, which this model has: use "
                "sampler=ancestral, ddim, dpm or heun"
            )
        if sampler is not None and sampler.steps > self.chain.steps:
            raise UsageError(
                f"sampler.steps={sampler.steps}: this model's chain has {self.chain.steps} steps"
            )
        *_, x = self.denoise(n, sampler, label=label, guidance=guidance, generator=generator)
        return x

    @torch.no_grad()
    def denoise(
        self,
        n: int,
        sampler: Sampler | None = None,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Iterator[Tensor]:
        """(n, *shape) states of the chain in the units of the data: z_1, …, z_0, then the sample x.

        sampler: None is the chain that the bound describes; others, such as ``DDIM(50)``, draw from
        another distribution, of which the bound says nothing.
        """
        self._check(label)
        start = torch.randn(n, *self.spec.shape, generator=generator, device=self.device)
        walk, z = (sampler or self.chain), start
        denoise = self._denoise(label, guidance)
        for z in walk(denoise, self.schedule, start, generator=generator):
            yield self.decoder.unembed(z)
        first = self.schedule(torch.zeros((), device=z.device, dtype=torch.float64))
        yield self.decoder.sample(z, first, generator)

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): each drawn from ``particles`` that walk the chain (``posterior``), towards
        p(x) r(x) the more of them there are.
        """
        return self.completed(
            evidence, n, self.chain, self.particles, label=label, generator=generator
        )

    def completed(
        self,
        evidence: Evidence,
        n: int,
        chain: Ancestral,
        particles: int,
        *,
        label: Tensor | None = None,
        generator: Generator,
    ) -> Tensor:
        """``complete`` by a chain of so many steps and so many particles."""
        self._check(label)
        many = n * particles
        told = None if label is None else label.repeat_interleave(many)
        first = self.schedule(torch.zeros((), device=self.device, dtype=torch.float64))
        repeated = evidence.map(lambda each: each.repeat_interleave(many, 0))
        target = target_for(repeated, self.decoder, first)
        z = torch.randn(len(repeated), *self.spec.shape, generator=generator, device=self.device)
        x = posterior.draw(
            self._denoise(told), self.schedule, chain, target, z, particles, generator
        )
        return x.unflatten(0, (-1, n)).transpose(0, 1)

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        return pictures.figures(self, batch, generator)

    def _check(self, label: Tensor | None) -> None:
        if label is not None and not self.labels:
            raise UsageError(
                "this model was trained without labels: train it with model.labels=true"
            )


def sum_terms(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum(0)
