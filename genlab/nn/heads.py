"""Output distributions: what a network's numbers mean as a distribution of each entry of a datum.

A head turns θ: (B, *shape, params) into a distribution of x: (B, *shape), entry by entry. Heads hold
no weights. All numbers are nats; log-probabilities are masses of discrete entries and densities of real
ones. θ may come in half precision, as autocast makes it: heads compute in float32, and distribution
functions of mixtures in float64.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import DataSpec, Support, UnsupportedData
from genlab.ranges import at_least

LOG_SCALE = 7.0  # mixtures have no component narrower than e^-7 or wider than e^7
BISECTIONS = 40  # leave 1e-12 of the width of a mixture
SMALLEST = 2.0**-25  # half the resolution of the uniform variables that are inverted


class Head(ABC):
    """A family of distributions of one entry, given ``params`` numbers."""

    params: int

    @abstractmethod
    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """(B, *shape) nats per entry, of x: (B, *shape) under theta: (B, *shape, params)."""

    @abstractmethod
    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        """x: (B, *shape) by inverting the distribution function at u: (B, *shape) in [0, 1)."""

    @abstractmethod
    def mean(self, theta: Tensor) -> Tensor:
        """E[x]: (B, *shape)."""

    @abstractmethod
    def marginal(self, x: Tensor) -> Tensor:
        """(*shape, params): θ of an independent model of x: (N, *shape), smoothed by half a count.

        Frequencies where the family has every distribution; a mixture gives each component an equal
        share of the sorted values.
        """

    def sample(self, theta: Tensor, generator: Generator) -> Tensor:
        u = torch.rand(theta.shape[:-1], generator=generator, device=theta.device)
        return self.quantile(u, theta)


def full(theta: Tensor) -> Tensor:
    """θ in float32 at least."""
    return theta.to(torch.promote_types(theta.dtype, torch.float32))


class Bernoulli(Head):
    """x in {0, 1}; θ is the logit of x = 1."""

    params = 1

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        logit = full(theta).squeeze(-1)
        return x * logit - F.softplus(logit)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        return (u < full(theta).squeeze(-1).sigmoid()).float()

    def mean(self, theta: Tensor) -> Tensor:
        return full(theta).squeeze(-1).sigmoid()

    def marginal(self, x: Tensor) -> Tensor:
        p = (x.sum(0) + 0.5) / (len(x) + 1)
        return p.logit().unsqueeze(-1)


class Categorical(Head):
    """x in {0, 1/(L-1), …, 1}; θ are the L logits of the levels."""

    def __init__(self, levels: int) -> None:
        self.params = self.levels = levels

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        level = (x * (self.levels - 1)).round().long().unsqueeze(-1)
        return full(theta).log_softmax(-1).gather(-1, level).squeeze(-1)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        below = full(theta).softmax(-1).cumsum(-1)[..., :-1] <= u.unsqueeze(-1)
        return below.sum(-1) / (self.levels - 1)

    def mean(self, theta: Tensor) -> Tensor:
        value = torch.linspace(0, 1, self.levels, device=theta.device)
        return (full(theta).softmax(-1) * value).sum(-1)

    def marginal(self, x: Tensor) -> Tensor:
        level = (x * (self.levels - 1)).round().long().flatten(1)
        cell = level + self.levels * torch.arange(level.shape[1], device=x.device)
        counts = cell.flatten().bincount(minlength=self.levels * level.shape[1])
        p = (counts.float() + 0.5) / (len(x) + 0.5 * self.levels)
        return p.log().view(*x.shape[1:], self.levels)


class Mixture(Head):
    """Σ_k π_k f((y - μ_k) / s_k) / s_k with K components; θ are K logits of π, K means μ and K of log s.

    log s is kept within ±``LOG_SCALE``, so that neither a spike of the density on a repeated value nor
    an overflow can be learnt.
    """

    prior: float  # variance that half a count adds to each share of the data
    unit: float  # s of a component of variance one

    def __init__(self, components: int) -> None:
        at_least(1, components=components)
        self.components, self.params = components, 3 * components

    @abstractmethod
    def signal(self, x: Tensor) -> Tensor:
        """y, in whose units μ and s are, of a datum x."""

    @abstractmethod
    def cdf(self, x: Tensor, theta: Tensor) -> Tensor:
        """(B, *shape) float64: P(X ≤ x)."""

    def marginal(self, x: Tensor) -> Tensor:
        y = self.signal(x).sort(0).values
        y = y.repeat_interleave(
            -(-self.components // len(y)), 0
        )  # a value for each share, at least
        shares = y.tensor_split(self.components)
        mean = torch.stack([share.mean(0) for share in shares], -1)
        squares = torch.stack([len(share) * share.var(0, correction=0) for share in shares], -1)
        counts = torch.tensor([len(share) for share in shares], device=x.device)
        variance = (squares + self.prior / 2) / (counts + 0.5)
        log_scale = variance.log() / 2 + math.log(self.unit)
        return torch.cat([torch.zeros_like(mean), mean, log_scale], -1)

    def _split(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log π, μ and log s, each (B, *shape, K)."""
        logits, mean, log_scale = full(theta).chunk(3, -1)
        return logits.log_softmax(-1), mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE)

    def _exactly(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """π, μ and s in float64."""
        log_weight, mean, log_scale = self._split(theta.double())
        return log_weight.exp(), mean, log_scale.exp()


class LogisticMixture(Mixture):
    """LEVELS: a mixture of logistic densities, integrated over the cell of each level.

    y = 2x - 1, and cells reach half way to the next level, h = 1 / (levels - 1); the outer two are open,
    so that the masses sum to one whatever θ. With a = (y + h - μ) / s and b = (y - h - μ) / s, the mass

        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(-2h / s))

    is a product of factors whose logarithms are exact in both tails; where the cell is narrow this is
    density × width, without a change of formula (Salimans, Karpathy, Chen, Kingma 2017, "PixelCNN++",
    arXiv 1701.05517, section 2.1, who switch to that).
    """

    unit = math.sqrt(3) / math.pi

    def __init__(self, spec: DataSpec, components: int = 10) -> None:
        super().__init__(components)
        if spec.support is not Support.LEVELS or spec.levels is None:
            raise UnsupportedData(
                f"a logistic mixture takes LEVELS data; {spec.name} is {spec.support.name}"
            )
        self.levels, self.half = spec.levels, 1 / (spec.levels - 1)
        self.prior = (spec.levels + 1) / (spec.levels - 1) / 3  # of evenly spread levels

    def signal(self, x: Tensor) -> Tensor:
        return 2 * x - 1

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        log_weight, mean, log_scale = self._split(theta)
        level = (x * (self.levels - 1)).round().unsqueeze(-1)
        distance, rate = 2 * self.half * level - 1 - mean, (-log_scale).exp()
        below = F.logsigmoid((distance + self.half) * rate)
        above = F.logsigmoid((self.half - distance) * rate)
        width = (-torch.expm1(-2 * self.half * rate)).log()
        inner = below + above + width
        outer = torch.where(level == 0, below, torch.where(level == self.levels - 1, above, inner))
        return (log_weight + outer).logsumexp(-1)

    def cdf(self, x: Tensor, theta: Tensor) -> Tensor:
        return self._cdf((x.double() * (self.levels - 1)).round(), theta)

    def _cdf(self, level: Tensor, theta: Tensor) -> Tensor:
        weight, mean, scale = self._exactly(theta)
        edge = 2 * self.half * level.double() - 1 + self.half
        p = (weight * ((edge.unsqueeze(-1) - mean) / scale).sigmoid()).sum(-1)
        return torch.where(level >= self.levels - 1, 1.0, p)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        """By bisection over the levels."""
        low = torch.zeros_like(u, dtype=torch.int64)
        high = torch.full_like(low, self.levels - 1)
        for _ in range((self.levels - 1).bit_length()):
            middle = (low + high) // 2
            above = self._cdf(middle, theta) <= u
            low, high = torch.where(above, middle + 1, low), torch.where(above, high, middle)
        return low / (self.levels - 1)

    def mean(self, theta: Tensor) -> Tensor:
        """E[level] is the sum of P(level > k) over k."""
        k = torch.arange(self.levels - 1, device=theta.device)
        k = k.view(-1, *[1] * (theta.dim() - 1)).expand(-1, *theta.shape[:-1])
        above = 1 - self._cdf(k, theta.expand(len(k), *theta.shape))
        return above.mean(0).float()


class GaussianMixture(Mixture):
    """REAL: a mixture of normal densities of x itself (Bishop 1994, "Mixture Density Networks")."""

    prior = 1.0  # of standardised data
    unit = 1.0

    def __init__(self, spec: DataSpec, components: int = 10) -> None:
        super().__init__(components)
        if spec.support is not Support.REAL:
            raise UnsupportedData(
                f"a Gaussian mixture takes REAL data; {spec.name} is {spec.support.name}"
            )

    def signal(self, x: Tensor) -> Tensor:
        return x

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        log_weight, mean, log_scale = self._split(theta)
        error = (x.unsqueeze(-1) - mean) * (-log_scale).exp()
        each = log_weight - log_scale - (error.square() + math.log(2 * math.pi)) / 2
        return each.logsumexp(-1)

    def cdf(self, x: Tensor, theta: Tensor) -> Tensor:
        weight, mean, scale = self._exactly(theta)
        return (weight * torch.special.ndtr((x.double().unsqueeze(-1) - mean) / scale)).sum(-1)

    def quantile(self, u: Tensor, theta: Tensor) -> Tensor:
        """By bisection between the least and the greatest of the components' own quantiles."""
        u = u.double().clamp(SMALLEST, 1 - SMALLEST)
        _, mean, scale = self._exactly(theta)
        ends = mean + scale * torch.special.ndtri(u).unsqueeze(-1)
        low, high = ends.amin(-1), ends.amax(-1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            above = self.cdf(middle, theta) < u
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        return ((low + high) / 2).to(full(theta).dtype)

    def mean(self, theta: Tensor) -> Tensor:
        log_weight, mean, _ = self._split(theta)
        return (log_weight.exp() * mean).sum(-1)


def head_for(spec: DataSpec) -> Head:
    """The default of a support: Bernoulli on BINARY, categorical on LEVELS, Gaussian mixture on REAL."""
    if spec.support is Support.BINARY:
        return Bernoulli()
    return GaussianMixture(spec) if spec.levels is None else Categorical(spec.levels)
