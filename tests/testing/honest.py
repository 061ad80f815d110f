"""Tiny models that keep every promise they make. They must pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import (
    AnnealingPath,
    Batch,
    Classifies,
    Completes,
    DataSpec,
    Evidence,
    Figure,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasEnergy,
    HasFigures,
    HasImportanceWeights,
    HasLikelihood,
    HasVelocity,
    Images,
    LogLikelihood,
    Matrix,
    Measure,
    Model,
    Observed,
    Plane,
    Stage,
    State,
    Support,
    TakesSampler,
    UnsupportedData,
    UsageError,
)
from genlab.nn.heads import head_for

DISCRETE = frozenset({Support.BINARY, Support.LEVELS})
BITS = frozenset({Support.BINARY})
REALS = frozenset({Support.REAL})


def mass(nats: Tensor, guarantee: Guarantee = Guarantee.EXACT) -> LogLikelihood:
    return LogLikelihood(nats, guarantee, Measure.MASS, method="test")


class Factorised(GenerativeModel, HasLikelihood, Completes, HasFigures):
    """Independent entries, each with the default head's distribution."""

    supports = DISCRETE
    guarantee = Guarantee.EXACT
    completes = frozenset({Observed})

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.head = head_for(spec)
        self.theta = nn.Parameter(torch.zeros(*spec.shape, self.head.params))

    def log_prob(self, x: Tensor) -> Tensor:
        return self.head.log_prob(x, self.theta.expand(len(x), *self.theta.shape)).flatten(1).sum(1)

    def loss(self, batch: Batch) -> Tensor:
        return -self.log_prob(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x)}

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        return self.head.sample(self.theta.expand(n, *self.theta.shape), generator)

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        return mass(self.log_prob(x))

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        assert isinstance(evidence, Observed)
        self.refuse_label(label)
        x = torch.stack([self.sample(n, generator=generator) for _ in evidence.x], 1)
        return torch.where(evidence.mask, evidence.x, x)

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield Figure("data", "Data.", Images(batch.x[None]))
        yield Figure("theta", "Parameters of each entry.", Matrix(self.theta.flatten(0, -2)))


class Dequantised(Factorised, HasVelocity):
    """Level k of L fills [k, k + 1) / L evenly: a density that is constant there, and a flow at rest."""

    span = (0.0, 1.0)

    def embed(self, x: Tensor, *, generator: Generator) -> tuple[Tensor, Tensor]:
        levels = self.spec.levels
        assert levels is not None
        u = torch.rand(x.shape, generator=generator)
        log_scale = torch.full((len(x),), -self.spec.size * math.log(levels))
        return ((x * (levels - 1)).round() + u) / levels, log_scale

    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor:
        self.refuse_label(label)
        return torch.zeros_like(z)

    def base_log_prob(self, z: Tensor) -> Tensor:
        levels = self.spec.levels
        assert levels is not None
        k = (z * levels).floor().clamp(0, levels - 1)
        return self.log_prob(k / (levels - 1)) + self.spec.size * math.log(levels)


class Mixture(GenerativeModel, HasLikelihood, Completes):
    """p(x) = Σ_k π_k Π_d p_kd(x_d). Where the data have classes, they name the components."""

    supports = DISCRETE
    guarantee = Guarantee.EXACT
    completes = frozenset({Observed})
    components = 3

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.head = head_for(spec)
        self.logits = nn.Parameter(torch.zeros(self.components))
        self.theta = nn.Parameter(torch.randn(self.components, *spec.shape, self.head.params))

    def each(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """(B, K) log π_k p_k(x), of the known entries only where a mask says which."""
        each = x[:, None].expand(-1, self.components, *x.shape[1:])
        entries = self.head.log_prob(each, self.theta.expand(len(x), *self.theta.shape))
        if known is not None:
            entries = entries * known[:, None]
        return self.logits.log_softmax(0) + entries.flatten(2).sum(2)

    def loss(self, batch: Batch) -> Tensor:
        each = self.each(batch.x)
        if batch.label is not None:
            return -each.gather(1, batch.label[:, None]).mean()
        return -each.logsumexp(1).mean()

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        if label is not None and not self.spec.classes:
            raise UsageError("the data have no classes: leave label out")
        if label is None:
            label = torch.multinomial(
                self.logits.softmax(0), n, replacement=True, generator=generator
            )
        return self.head.sample(self.theta[label], generator)

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        return mass(self.each(x).logsumexp(1))

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        assert isinstance(evidence, Observed)
        self.refuse_label(label)
        posterior = self.each(evidence.x, evidence.mask).softmax(1)
        k = torch.multinomial(posterior, n, replacement=True, generator=generator).T
        x = self.head.sample(self.theta[k], generator)
        return torch.where(evidence.mask, evidence.x, x)


class Latent(GenerativeModel, HasLikelihood, HasImportanceWeights, HasEncoder):
    """A variational auto-encoder: z ~ N(0, 1), x | z Bernoulli; its bound, and its weights."""

    supports = BITS
    guarantee = Guarantee.LOWER_BOUND
    codes = 2

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.encoder = nn.Linear(spec.size, 2 * self.codes)
        self.decoder = nn.Sequential(nn.Linear(self.codes, 8), nn.Tanh(), nn.Linear(8, spec.size))

    def noisy_weights(self, x: Tensor, noise: Tensor) -> Tensor:
        """(K, B) log p(x, z) − log q(z | x) at z = mean + sd · noise: (K, B, codes)."""
        mean, log_sd = self.encoder(x.flatten(1)).chunk(2, -1)
        z = mean + log_sd.exp() * noise
        log_ratio = (noise.square() - z.square()).sum(-1) / 2 + log_sd.sum(-1)
        logits = self.decoder(z)
        return log_ratio + (x.flatten(1) * logits - F.softplus(logits)).sum(-1)

    def loss(self, batch: Batch) -> Tensor:
        return -self.noisy_weights(batch.x, torch.randn(1, len(batch.x), self.codes)).mean()

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        self.refuse_label(label)
        return self.noisy_weights(x, torch.randn(k, len(x), self.codes, generator=generator))

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        return mass(self.log_weights(x, 1, generator=generator)[0], Guarantee.LOWER_BOUND)

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        p = self.decode(torch.randn(n, self.codes, generator=generator))
        return torch.bernoulli(p, generator=generator)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1))[:, : self.codes]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid().unflatten(1, self.spec.shape)


class Tempered(NamedTuple):
    """A sampler of ``Guided``: the logits of its bits are divided by this."""

    temperature: float


class Guided(GenerativeModel, TakesSampler):
    """Independent bits, of all labels together and, where the data have labels, of each."""

    supports = BITS
    samplers = (Tempered(0.5), Tempered(2.0))

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.all = nn.Parameter(torch.zeros(spec.shape))
        if spec.classes:
            self.each = nn.Parameter(torch.zeros(spec.classes, *spec.shape))

    def logits(self, label: Tensor | None, guidance: float = 1.0) -> Tensor:
        if label is None:
            return self.all
        if not self.spec.classes:
            raise UsageError("the data have no classes: leave label out")
        return self.all + guidance * (self.each[label] - self.all)

    def loss(self, batch: Batch) -> Tensor:
        kinds = (None,) if batch.label is None else (None, batch.label)
        each = [self.logits(label).expand_as(batch.x) for label in kinds]
        return sum((F.softplus(z) - batch.x * z).sum() for z in each) / len(batch.x)

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        return self.sample_by(None, n, label=label, generator=generator)

    def sample_by(
        self,
        sampler: Any | None,
        n: int,
        *,
        label: Tensor | None = None,
        guidance: float = 1.0,
        generator: Generator,
    ) -> Tensor:
        if sampler is not None and not isinstance(sampler, Tempered):
            raise UsageError(f"{type(sampler).__name__} is no temperature")
        if guidance != 1 and label is None:
            raise UsageError("guidance goes with a label")
        logits = self.logits(label, guidance) / (sampler.temperature if sampler else 1.0)
        return torch.bernoulli(logits.sigmoid().expand(n, *self.spec.shape), generator=generator)


class PriorWeighted(GenerativeModel, HasImportanceWeights):
    """x | u Bernoulli with u uniform, weighted by draws of u that all data of a batch share."""

    supports = BITS

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, spec.size))

    def joint(self, x: Tensor, u: Tensor) -> Tensor:
        """(K, B) log p(x | u), u: (K, 1)."""
        logits = self.network(2 * u - 1)[:, None]
        return (x.flatten(1) * logits - F.softplus(logits)).sum(-1)

    def loss(self, batch: Batch) -> Tensor:
        return -(self.joint(batch.x, torch.rand(32, 1)).logsumexp(0) - math.log(32)).mean()

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        self.refuse_label(label)
        return self.joint(x, torch.rand(k, 1, generator=generator))

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        p = self.network(2 * torch.rand(n, 1, generator=generator) - 1).sigmoid()
        return torch.bernoulli(p, generator=generator).unflatten(1, self.spec.shape)


class Gaussian(GenerativeModel, HasLikelihood, HasVelocity, Completes, HasFigures):
    """x = shift + scale · L z with z ~ N(0, 1); shift and scale are those of the data, L is learned."""

    supports = REALS
    guarantee = Guarantee.EXACT
    completes = frozenset({Observed})
    span = (0.0, 1.0)
    persistent = True

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.register_buffer("shift", torch.zeros(spec.size), persistent=self.persistent)
        self.register_buffer("scale", torch.ones(spec.size), persistent=self.persistent)
        self.factor = nn.Parameter(torch.eye(spec.size))
        self.base = torch.distributions.Normal(torch.zeros(spec.size), torch.ones(spec.size))

    def base_log_prob(self, z: Tensor) -> Tensor:
        return self.base.log_prob(z).sum(1)

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, begin=self.begin),)

    def begin(self, batch: Batch) -> None:
        self.shift.copy_(batch.x.flatten(1).mean(0))
        self.scale.copy_(batch.x.flatten(1).std(0))

    def matrix(self) -> Tensor:
        """(D, D) lower triangular: dx/dz."""
        return self.scale[:, None] * self.factor.tril()

    def embed(self, x: Tensor, *, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        centred = (x.flatten(1) - self.shift).T
        z = torch.linalg.solve_triangular(self.matrix(), centred, upper=False).T
        return z, -self.matrix().diagonal().abs().log().sum().expand(len(x))

    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor:
        self.refuse_label(label)
        return torch.zeros_like(z)

    def log_prob(self, x: Tensor) -> Tensor:
        z, log_det = self.embed(x)
        return self.base_log_prob(z) + log_det

    def loss(self, batch: Batch) -> Tensor:
        return -self.log_prob(batch.x).mean()

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        return LogLikelihood(self.log_prob(x), Guarantee.EXACT, Measure.DENSITY, method="test")

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        z = torch.randn(n, self.spec.size, generator=generator)
        return (self.shift + z @ self.matrix().T).view(n, *self.spec.shape)

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """A draw of everything, moved by the regression on what was observed (Matheron's rule)."""
        assert isinstance(evidence, Observed)
        self.refuse_label(label)
        covariance = self.matrix() @ self.matrix().T
        draws = []
        for known, mask in zip(evidence.x, evidence.mask.flatten(1), strict=True):
            x = self.sample(n, generator=generator).flatten(1)
            gain = torch.linalg.solve(covariance[mask][:, mask], covariance[mask])
            x = x + (known.flatten()[mask] - x[:, mask]) @ gain
            draws.append(torch.where(mask, known.flatten(), x))
        return torch.stack(draws, 1).view(n, *evidence.x.shape)

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if self.spec.size == 2:
            x = self.sample(8, generator=generator).view(1, 8, 2)
            yield Figure("samples", "Samples.", Plane(x, x, torch.zeros_like(x)))


class NoisyLine(GenerativeModel, HasLikelihood, HasImportanceWeights):
    """x = mean + slope · z + sd · noise with z ~ N(0, 1), z weighted under a learned Gaussian."""

    supports = REALS
    guarantee = Guarantee.LOWER_BOUND

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.mean, self.slope = (
            nn.Parameter(torch.zeros(spec.size)),
            nn.Parameter(torch.ones(spec.size)),
        )
        self.log_sd = nn.Parameter(torch.zeros(spec.size))
        self.encoder = nn.Linear(spec.size, 1)
        self.log_width = nn.Parameter(torch.zeros(()))

    def noisy_weights(self, x: Tensor, noise: Tensor) -> Tensor:
        """(K, B) log p(x, z) − log q(z | x), noise: (K, B, 1)."""
        z = self.encoder(x.flatten(1)) + self.log_width.exp() * noise
        output = torch.distributions.Normal(self.mean + self.slope * z, self.log_sd.exp())
        log_ratio = (noise.square() - z.square()).sum(-1) / 2 + self.log_width
        return log_ratio + output.log_prob(x.flatten(1)).sum(-1)

    def loss(self, batch: Batch) -> Tensor:
        return -self.noisy_weights(batch.x, torch.randn(1, len(batch.x), 1)).mean()

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        self.refuse_label(label)
        return self.noisy_weights(x, torch.randn(k, len(x), 1, generator=generator))

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        nats = self.log_weights(x, 1, generator=generator)[0]
        return LogLikelihood(nats, Guarantee.LOWER_BOUND, Measure.DENSITY, method="test")

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        z, noise = (
            torch.randn(n, 1, generator=generator),
            torch.randn(n, self.spec.size, generator=generator),
        )
        x = self.mean + self.slope * z + self.log_sd.exp() * noise
        return x.view(n, *self.spec.shape)


class Line(Gaussian):
    """Refuses the plane, so that the suite goes on to the line."""

    def __init__(self, spec: DataSpec) -> None:
        if spec.size > 1:
            raise UnsupportedData("one dimension only")
        super().__init__(spec)


class LatticePath(AnnealingPath):
    """f_beta(v) = exp(−beta F(v)) over binary v: (n, D); a transition resamples every bit in turn."""

    def __init__(self, free_energy: Any, states: Tensor) -> None:
        self.free_energy, self.states = free_energy, states
        self.log_z0 = states.shape[1] * math.log(2)

    def start(self, n: int, *, generator: Generator) -> State:
        return (torch.randint(2, (n, self.states.shape[1]), generator=generator).float(),)

    def end(self, n: int, *, generator: Generator) -> State | None:
        p = (-self.free_energy(self.states)).softmax(0)
        return (self.states[torch.multinomial(p, n, replacement=True, generator=generator)],)

    def log_f(self, state: State, beta: float) -> Tensor:
        return -beta * self.free_energy(state[0])

    def transition(self, state: State, beta: float, *, generator: Generator) -> State:
        """One bit of each chain, drawn anew: reversible, as a sweep through all in order is not."""
        (v,) = state
        for _ in range(v.shape[1]):
            chosen = torch.randint(v.shape[1], (len(v), 1), generator=generator)
            on, off = v.scatter(1, chosen, 1.0), v.scatter(1, chosen, 0.0)
            p = (self.log_f((on,), beta) - self.log_f((off,), beta)).sigmoid()
            v = torch.where(torch.rand(len(p), 1, generator=generator) < p[:, None], on, off)
        return (v,)


class Energy(GenerativeModel, HasEnergy):
    """A restricted Boltzmann machine, trained by its exact likelihood and sampled from the table."""

    supports = BITS
    unnormalised = Guarantee.EXACT
    summable = 3
    path_class: type[LatticePath] = LatticePath

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.weight = nn.Parameter(0.1 * torch.randn(3, spec.size))
        self.visible, self.hidden = (
            nn.Parameter(torch.zeros(spec.size)),
            nn.Parameter(torch.zeros(3)),
        )
        table = torch.tensor(list(product((0.0, 1.0), repeat=spec.size)))
        self.register_buffer("table", table, persistent=False)

    def free_energy(self, v: Tensor) -> Tensor:
        return -v @ self.visible - F.softplus(v @ self.weight.T + self.hidden).sum(-1)

    def loss(self, batch: Batch) -> Tensor:
        log_z = (-self.free_energy(self.table)).logsumexp(0)
        return self.free_energy(batch.x.flatten(1)).mean() + log_z

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        p = (-self.free_energy(self.table)).softmax(0)
        rows = torch.multinomial(p, n, replacement=True, generator=generator)
        return self.table[rows].unflatten(1, self.spec.shape)

    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        return -self.free_energy(x.flatten(1)).expand(k, -1)

    def log_z(self) -> float:
        return float((-self.free_energy(self.table)).logsumexp(0))

    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath:
        return self.path_class(self.free_energy, self.table)


class Staged(GenerativeModel, HasLikelihood):
    """An autoregressive pair of halves, each half in a stage of its own."""

    supports = BITS
    guarantee = Guarantee.EXACT

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        half = spec.size // 2
        self.first = nn.ParameterList([torch.zeros(half)])
        self.second = nn.Linear(half, spec.size - half)

    def stages(self) -> Sequence[Stage]:
        return (
            Stage("first", self.first, partial(self.part_loss, 0)),
            Stage("second", self.second, partial(self.part_loss, 1), max_steps=400),
        )

    def loss(self, batch: Batch) -> Tensor:
        return self.part_loss(0, batch) + self.part_loss(1, batch)

    def part_loss(self, part: int, batch: Batch) -> Tensor:
        return -self.parts(batch.x)[part].mean()

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.flatten(1).tensor_split([len(self.first[0])], 1)
        p, q = self.first[0], self.second(a)
        return (a * p - F.softplus(p)).sum(1), (b * q - F.softplus(q)).sum(1)

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        return mass(sum(self.parts(x)))

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        a = torch.bernoulli(self.first[0].sigmoid().expand(n, -1), generator=generator)
        b = torch.bernoulli(self.second(a).sigmoid(), generator=generator)
        return torch.cat([a, b], 1).unflatten(1, self.spec.shape)


class Softmax(Model, Classifies):
    """log p(label | x) = log softmax(W x + b): a classifier, and no distribution of x."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if not spec.classes:
            raise UnsupportedData(f"Softmax tells labels; {spec.name} has none")
        self.layer = nn.Linear(spec.size, spec.classes)

    def loss(self, batch: Batch) -> Tensor:
        return self.validate(batch)["nll"].mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": F.cross_entropy(self.logits(batch.x), batch.label, reduction="none")}

    def logits(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        return self.logits(x).log_softmax(1)


class NaiveBayes(GenerativeModel, HasLikelihood, Classifies):
    """p(x, y) = π_y Π_d Bernoulli(x_d; p_yd): labels where the data have them, else one class."""

    supports = BITS
    guarantee = Guarantee.EXACT

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.classifies = spec.classes > 0
        self.prior = nn.Parameter(torch.zeros(max(1, spec.classes)))
        self.bits = nn.Parameter(torch.zeros(max(1, spec.classes), spec.size))

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, solve=self.solve),)

    def solve(self, batches: Iterable[Batch]) -> None:
        rows = list(batches)
        x = torch.cat([b.x for b in rows]).flatten(1)
        y = torch.cat([torch.zeros(len(b.x)).long() if b.label is None else b.label for b in rows])
        members = F.one_hot(y, len(self.prior)).float()
        counts = members.sum(0)
        self.prior.copy_((counts + 0.5).log().log_softmax(0))
        self.bits.copy_(((members.T @ x + 0.5) / (counts + 1)[:, None]).logit())

    def each(self, x: Tensor) -> Tensor:
        """(B, classes) log p(x | y)"""
        bits = x.flatten(1)[:, None] * self.bits - F.softplus(self.bits)
        return bits.sum(2)

    def loss(self, batch: Batch) -> Tensor:
        return -(self.each(batch.x) + self.prior).logsumexp(1).mean()

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        if label is None:
            return mass((self.each(x) + self.prior).logsumexp(1))
        self.need_labels()
        nats = self.each(x).gather(1, label[:, None]).squeeze(1)
        return replace(mass(nats), given="label")

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        if label is None:
            label = torch.multinomial(self.prior.exp(), n, replacement=True, generator=generator)
        else:
            self.need_labels()
        p = self.bits[label].sigmoid()
        return torch.bernoulli(p, generator=generator).unflatten(1, self.spec.shape)

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        return (self.each(x) + self.prior).log_softmax(1)

    def need_labels(self) -> None:
        if not self.classifies:
            raise UsageError(f"{self.spec.name} has no labels: leave label out")


class NoisyPosterior(Softmax):
    """The mean of log p(label | x, noise) over four draws of noise in x, normalised."""

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        noise = torch.randn(4, *x.shape, generator=generator) / 4
        return (
            torch.stack([self.logits(x + n).log_softmax(1) for n in noise]).mean(0).log_softmax(1)
        )


class Bottleneck(Model, HasEncoder):
    """A linear auto-encoder of one number: no distribution of x."""

    supports = frozenset({Support.LEVELS, Support.REAL})

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.inward, self.outward = nn.Linear(spec.size, 1), nn.Linear(1, spec.size)

    def loss(self, batch: Batch) -> Tensor:
        return (batch.x - self.decode(self.encode(batch.x))).square().sum() / len(batch.x)

    def encode(self, x: Tensor) -> Tensor:
        return self.inward(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        return self.outward(z).unflatten(1, self.spec.shape)


HONEST = (
    Factorised,
    Dequantised,
    Mixture,
    Guided,
    Latent,
    PriorWeighted,
    Gaussian,
    NoisyLine,
    Line,
    Energy,
    Staged,
    Softmax,
    NaiveBayes,
    NoisyPosterior,
    Bottleneck,
)
