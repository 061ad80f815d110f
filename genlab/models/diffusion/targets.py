"""What evidence says of the states of a diffusion: how probable it is at z_t, and which data agree with
it.

Evidence r(x) multiplies the model's distribution. At z_t, x is about N(x̂, v̂), entry by entry, and the
twist

    r̃(z_t) = ∫ r(x) N(x; x̂, v̂) dx

says where the chain should go. At z_0 little is left to say of x: it is drawn from p(x | z_0) r(x),
exactly where r is a product over entries, and weighted by its constant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import Evidence, Noisy, Observed, Pooled
from genlab.models.diffusion.decoder import Decoder, LevelDecoder
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, spread
from genlab.randomness import randn_like

LOG_2PI = math.log(2 * math.pi)


class Target(ABC):
    """Of n states, with evidence for each; in the units of the signal that the chain works on.

    floor: the variance of x given z_0, below which none is taken.
    """

    floor: float

    @abstractmethod
    def twist(self, x: Moments) -> Tensor:
        """(n,) log r̃, differentiable in the mean: (n, *shape) of x."""

    @abstractmethod
    def finish(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """x: (n, *shape) from p(x | z_0 = z) r(x), and the log of its constant: (n,)."""

    def _variance(self, x: Moments) -> Tensor:
        return x.variance.detach().expand_as(x.mean).clamp(min=self.floor)


class ObservedTarget(Target):
    def __init__(self, evidence: Observed, decoder: Decoder, floor: float) -> None:
        self.x, self.mask = evidence.x, evidence.mask
        self.decoder, self.floor = decoder, floor
        self.signal = decoder.embed(evidence.x)

    def twist(self, x: Moments) -> Tensor:
        variance = self._variance(x)
        return _over(self.mask * _normal(self.signal - x.mean, variance))

    def finish(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        drawn = self.decoder.sample(z, log_snr, generator)
        log_p = self.decoder.log_prob(self.x, z, log_snr)
        return torch.where(self.mask, self.x, drawn), _over(self.mask * log_p)


class NoisyTarget(Target):
    def __init__(self, evidence: Noisy, decoder: Decoder, floor: float) -> None:
        self.y, self.sigma = evidence.y, evidence.sigma
        self.decoder, self.floor = decoder, floor
        self.signal = decoder.embed(evidence.y)
        self.noise = float(
            decoder.embed(torch.tensor(self.sigma)) - decoder.embed(torch.tensor(0.0))
        )

    def twist(self, x: Moments) -> Tensor:
        return _over(_normal(self.signal - x.mean, self._variance(x) + self.noise**2))

    def finish(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if isinstance(self.decoder, LevelDecoder):
            return self._levels(z, log_snr, generator)
        centre = z / spread(alpha(log_snr), z)
        variance = float(torch.exp(-log_snr))
        total = variance + self.sigma**2
        mean = (self.sigma**2 * centre + variance * self.y) / total
        e = randn_like(z, generator)
        constant = _over(_normal(self.y - centre, torch.tensor(total)))
        return mean + math.sqrt(variance * self.sigma**2 / total) * e, constant

    def _levels(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        decoder = self.decoder
        assert isinstance(decoder, LevelDecoder)
        level = torch.linspace(0, 1, decoder.levels, device=z.device, dtype=z.dtype)
        seen = ((self.y.unsqueeze(-1) - level) / self.sigma).square() / -2
        log_p = decoder.evidence(z, log_snr).log_softmax(-1) + seen
        return decoder.head.sample(log_p, generator), _over(log_p.logsumexp(-1))


class PooledTarget(Target):
    def __init__(self, evidence: Pooled, decoder: Decoder, floor: float) -> None:
        self.y, self.factor = evidence.y, evidence.factor
        self.decoder, self.floor = decoder, floor
        self.signal = decoder.embed(evidence.y)

    def twist(self, x: Moments) -> Tensor:
        size = self.factor**2
        mean = F.avg_pool2d(x.mean, self.factor)
        variance = F.avg_pool2d(self._variance(x), self.factor) / size
        return _over(_normal(self.signal - mean, variance))

    def finish(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if isinstance(self.decoder, LevelDecoder):
            return self._levels(z, log_snr, generator)
        centre, variance = z / spread(alpha(log_snr), z), torch.exp(-log_snr)
        off = self.y - F.avg_pool2d(centre, self.factor)
        drawn = self.decoder.sample(z, log_snr, generator)
        lacking = self.y - F.avg_pool2d(drawn, self.factor)
        x = drawn + lacking.repeat_interleave(self.factor, -1).repeat_interleave(self.factor, -2)
        return x, _over(_normal(off, variance / self.factor**2))

    def _levels(self, z: Tensor, log_snr: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        decoder = self.decoder
        assert isinstance(decoder, LevelDecoder)
        top, size = decoder.levels - 1, self.factor**2
        log_p = _patches(decoder.evidence(z, log_snr).log_softmax(-1), self.factor)
        wanted = (self.y.flatten() * size * top).round().long()
        level, constant = with_sum(log_p.double(), wanted, generator)
        x = _unpatched(level.to(z.dtype) / top, z.shape, self.factor)
        return x, constant.view(len(z), -1).sum(1)


def target_for(evidence: Evidence, decoder: Decoder, log_snr: Tensor) -> Target:
    """log_snr: () at t = 0."""
    floor = float(torch.exp(-log_snr))
    if isinstance(evidence, Observed):
        return ObservedTarget(evidence, decoder, floor)
    if isinstance(evidence, Noisy):
        return NoisyTarget(evidence, decoder, floor)
    assert isinstance(evidence, Pooled)
    return PooledTarget(evidence, decoder, floor)


# ------------------------------------------------------------------------------------------ levels of a sum

NEAR = 2  # levels on either side of the most probable one that an entry may take


def with_sum(log_p: Tensor, wanted: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """log_p: (N, M, L) of M independent entries, wanted: (N,) the sum of their levels.

    Levels (N, M) given that sum, and the log-probability (N,) of it; −inf, and some levels, where the
    sum is out of reach. Only levels near the most probable one of each entry are looked at.
    """
    n, m, levels = log_p.shape
    width = min(2 * NEAR + 1, levels)
    first = (log_p.argmax(2) - NEAR).clamp(0, levels - width)
    near = log_p.gather(2, first.unsqueeze(2) + torch.arange(width, device=log_p.device))
    rest = wanted - first.sum(1)
    most = m * (width - 1)
    # ways[i][s]: log-probability that entries i, i + 1, … add s to their first levels
    ways = [torch.full((n, most + 1), -math.inf, dtype=log_p.dtype, device=log_p.device)]
    ways[0][:, 0] = 0.0
    for i in reversed(range(m)):
        added = [
            F.pad(ways[0], (j, 0), value=-math.inf)[:, : most + 1] + near[:, i, j, None]
            for j in range(width)
        ]
        ways.insert(0, torch.stack(added).logsumexp(0))
    inside = (rest >= 0) & (rest <= most)
    left = rest.clamp(0, most)
    constant = torch.where(inside, ways[0].gather(1, left.unsqueeze(1)).squeeze(1), -math.inf)
    chosen = []
    step = torch.arange(width, device=log_p.device)
    for i in range(m):
        after = left.unsqueeze(1) - step
        there = ways[i + 1].gather(1, after.clamp(min=0)).masked_fill(after < 0, -math.inf)
        p = near[:, i] + there
        p = torch.where(p.isneginf().all(1, keepdim=True), near[:, i], p)
        j = torch.multinomial(p.softmax(1), 1, generator=generator).squeeze(1)
        chosen.append(first[:, i] + j)
        left = (left - j).clamp(min=0)
    return torch.stack(chosen, dim=1), constant


def _patches(values: Tensor, factor: int) -> Tensor:
    """(N, factor², L) of values: (n, C, H, W, L), patch by patch in the order of pooling."""
    n, c, h, w, levels = values.shape
    parts = values.view(n, c, h // factor, factor, w // factor, factor, levels)
    return parts.permute(0, 1, 2, 4, 3, 5, 6).reshape(-1, factor**2, levels)


def _unpatched(values: Tensor, shape: torch.Size, factor: int) -> Tensor:
    """(n, C, H, W) of values: (N, factor²)."""
    n, c, h, w = shape
    parts = values.view(n, c, h // factor, w // factor, factor, factor)
    return parts.permute(0, 1, 2, 4, 3, 5).reshape(shape)


def _normal(error: Tensor, variance: Tensor) -> Tensor:
    """log N(error; 0, variance), entry by entry."""
    return -(error.square() / variance + variance.log() + LOG_2PI) / 2


def _over(each: Tensor) -> Tensor:
    """(n,) the sum over the entries."""
    return each.flatten(1).sum(1)
