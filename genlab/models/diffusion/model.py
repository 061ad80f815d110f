"""A diffusion model: data are noise from which the noise has been taken away, step by step.

Noise is added by z_t = α_t x + σ_t ε (``schedules``). T steps back from t = 1 to t = 0, each a Gaussian
that follows from what z_t says about the datum (``denoisers``, ``reverse``), and a last one from z_0
to the support of the data (``decoder``) make a model p(x), whose log-likelihood is bounded (``bound``).
``sample`` walks that same chain, so the bound describes what is drawn. In continuous time the bound is that
of infinitely many steps, which the chain comes closer to the more it takes.

- Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli 2015, "Deep Unsupervised Learning using
  Nonequilibrium Thermodynamics", arXiv 1503.03585
- Ho, Jain, Abbeel 2020, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239
- Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

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
from genlab.models.diffusion.bound import Bound, Continuous, Discrete, sum_terms
from genlab.models.diffusion.decoder import decoder_for
from genlab.models.diffusion.denoisers import Denoiser
from genlab.models.diffusion.networks import ResidualBlock
from genlab.models.diffusion.noising import noised
from genlab.models.diffusion.samplers import DDIM, Ancestral, Denoise, DPMSolver, Heun, Sampler
from genlab.models.diffusion.schedules import LogLinear, Schedule
from genlab.models.diffusion.targets import target_for
from genlab.models.diffusion.times import even
from genlab.models.diffusion.variances import Analytic
from genlab.models.diffusion.weightings import weighting_for
from genlab.nn.unet import Block
from genlab.ranges import at_least

FEW = 4  # steps of the samplers that it names


class Diffusion(GenerativeModel, HasLikelihood, HasVelocity, Completes, TakesSampler, HasFigures):
    """Denoising diffusion: a network takes back Gaussian noise step by step (Ho, Jain, Abbeel 2020).

    schedule: called with levels=…. denoiser: called with the spec.
    steps: T. continuous: train and score the bound of infinitely many steps; ``steps`` is then only how
    many the chain takes that samples and completions walk. weighting: what is trained, "bound" or an error
    of ``weightings``. bound_steps: how many of the T steps, or of the times, ``log_likelihood`` visits per
    datum, one in each of as many strata; 0 visits all steps. val_steps: the same for ``validate``.
    particles: that walk the chain for each completion, one of which is drawn. labels: tell the network
    the label of a datum, but of a share ``label_dropout`` of the training data, so that one network has
    p(x) and p(x | label).

    Raises UnsupportedData for labels=True on data without labels, UsageError for a value out of range and
    for parts that do not go together.
    """

    guarantee = Guarantee.LOWER_BOUND
    completes = frozenset({Observed, Noisy, Pooled})

    def __init__(
        self,
        spec: DataSpec,
        schedule: Callable[..., Schedule] = LogLinear,
        denoiser: Callable[..., Denoiser] = Denoiser,
        steps: int = 250,
        continuous: bool = False,
        weighting: str = "bound",
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
            raise UsageError(f"label_dropout={label_dropout} must be in [0, 1]")
        at_least(1, steps=steps, particles=particles)
        at_least(0, bound_steps=bound_steps, val_steps=val_steps)
        self.schedule = schedule(levels=spec.levels)
        told: dict[str, Any] = {"classes": spec.classes} if labels else {}
        self.denoiser = denoiser(spec, **told)
        self.labels, self.label_dropout = labels, label_dropout
        self.decoder = decoder_for(spec)
        self.chain = Ancestral(steps)
        self.time = Continuous() if continuous else Discrete(steps)
        self.terms = Bound(self.schedule, self.decoder, self.time)
        self.weighting = weighting_for(weighting, self.denoiser)
        self.bound_steps, self.val_steps, self.particles = bound_steps, val_steps, particles
        self._check_parts()

    def _check_parts(self) -> None:
        for count in (self.bound_steps, self.val_steps):
            self.time.visits(count)
        if self.schedule.learned and self.weighting is not None:
            raise UsageError(
                "the ends of schedule=learned are trained by model.weighting=bound alone: choose that, "
                "or schedule=log_linear"
            )
        learned = getattr(self.denoiser, "variance", None) == "learned"
        if learned and (self.weighting is not None or isinstance(self.time, Continuous)):
            raise UsageError(
                "denoiser.variance=learned is trained by the bound of T steps alone: take "
                "model.weighting=bound and model.continuous=false, or denoiser.variance=analytic"
            )

    # Training

    def stages(self) -> Sequence[Stage]:
        begin, variance = self.denoiser.begin, self.denoiser.variance_of
        fit = Stage("fit", self, self.loss, lr_schedule="cosine", ema=0.995, begin=begin)
        if not isinstance(variance, Analytic):
            return (fit,)
        about = "the error of the denoiser at each noise level"
        return fit, Stage("variance", variance, self.loss, solve=self.measure, about=about)

    def shards(self) -> Sequence[nn.Module]:
        """The blocks of a network that is made of them."""
        return [part for part in self.modules() if isinstance(part, Block | ResidualBlock)]

    def loss(self, batch: Batch) -> Tensor:
        """The bound in nats per datum, or a weighted error, at one time per datum."""
        denoise = self._denoise(self._some_labels(batch))
        t = even(len(batch.x), batch.x.device)
        if self.weighting is None:
            return sum_terms(self.terms.at(batch.x, t, denoise)).mean()
        signal = self.decoder.embed(batch.x)
        return self.weighting.error(signal, t, denoise, self.schedule).mean()

    def measure(self, batches: Iterable[Batch]) -> None:
        """The analytic variance, from all training data."""
        assert isinstance(self.denoiser.variance_of, Analytic)
        self.denoiser.variance_of.fit(batches, self._squared_error, self.span)

    def _squared_error(self, batch: Batch, log_snr: Tensor) -> Tensor:
        """(B,) mean of (x − x̂)² over the entries, at log-SNRs (B,)."""
        signal, denoise = self.decoder.embed(batch.x), self._denoise(self._some_labels(batch))
        z, _ = noised(signal, log_snr, None)
        return (signal - denoise(z, log_snr).mean).square().flatten(1).mean(1)

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
        """The bound at ``bound_steps`` steps or times; its three terms are in the diagnostics."""
        self._check(label)
        with torch.no_grad():
            terms = self.bound(x, label=label, generator=generator)
        return LogLikelihood(
            -sum_terms(terms),
            self.guarantee,
            Measure.of(self.spec),
            method=f"variational bound, {self.time.name}",
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

        steps: how many steps or times are visited per datum, 0 for all; None is ``bound_steps``.
        """
        visits = self.bound_steps if steps is None else steps
        return self.terms.over(x, visits, self._denoise(label), generator)

    def _denoise(self, label: Tensor | None, guidance: float = 1.0) -> Denoise:
        """The denoiser, told a label: (B,)."""
        if label is None:
            return self.denoiser
        return partial(self.denoiser, label=label, guidance=guidance)

    # Probability flow, with the log-SNR as time

    @property
    def span(self) -> tuple[float, float]:
        return self.schedule.log_snr_max, self.schedule.log_snr_min

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
        return self.sample_by(None, n, label=label, generator=generator)

    @property
    def samplers(self) -> Sequence[Sampler]:
        steps = min(FEW, self.chain.steps)
        return Ancestral(steps), DDIM(steps), DPMSolver(steps), Heun(steps)

    def sample_by(
        self,
        sampler: Any | None,
        n: int,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Tensor:
        if not math.isfinite(guidance):
            raise UsageError(f"guidance={guidance:g} must be a finite number")
        if guidance != 1 and label is None:
            raise UsageError(f"guidance={guidance:g} goes with a label: name one")
        if sampler is not None and not isinstance(sampler, Sampler):
            raise UsageError(
                f"sampler: {type(sampler).__name__} is not for Gaussian noise, which this model has: use "
                "sampler=ancestral, ddim, dpm or heun"
            )
        most = math.inf if isinstance(self.time, Continuous) else self.chain.steps
        if sampler is not None and sampler.steps > most:
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

    @torch.no_grad()
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
