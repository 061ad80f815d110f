"""Noise for bits: two Markov chains that forget a datum entry by entry, with their exact posteriors.

After t of T steps a share ᾱ_t = 1 − t/T of what was known is left (β_t = 1/(T − t + 1), so that each
step forgets as much as any other):

- ``Binomial``: an entry keeps its value with probability ᾱ_t and is else drawn anew, a 1 with
  probability π (Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli 2015, arXiv 1503.03585, whose π is ½).
- ``Absorbing``: an entry keeps its value with probability ᾱ_t and is else hidden (Austin, Johnson, Ho,
  Tarlow, van den Berg 2021, "Structured Denoising Diffusion Models in Discrete State-Spaces", arXiv
  2107.03006). As T grows, entries are hidden one at a time, and the model becomes autoregressive in all
  orders at once (Hoogeboom et al. 2022, "Autoregressive Diffusion Models", arXiv 2110.02037).

A network says p̂, the probability that an entry of the datum is 1 given a state. A step back is then
the mean of the exact posteriors, p(s_{t−1} | s_t) = Σ_x p̂(x) q(s_{t−1} | s_t, x), and costs KL(q || p)
nats. States are +1 for a 1, −1 for a 0, and 0 for what is hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import UsageError
from genlab.ranges import at_least


class BitKernel(ABC):
    """x: (B, *shape) bits, s: (B, *shape) states, t: (B,) or () steps from 0 to T, p: (*shape) the share
    of ones in the training data, logits: (B, *shape) those of p̂. Everything is float64.
    """

    def __init__(self, steps: int = 1000) -> None:
        at_least(1, steps=steps)
        self.steps = steps

    def left(self, t: Tensor, like: Tensor) -> Tensor:
        """ᾱ_t, of a shape to be multiplied with like: (B, *shape)."""
        kept = (self.steps - t.double()) / self.steps
        return kept.reshape(-1, *[1] * (like.dim() - 1))

    @abstractmethod
    def noised(self, x: Tensor, t: Tensor, p: Tensor, generator: Generator | None) -> Tensor:
        """A draw of q(s_t | x)."""

    @abstractmethod
    def evidence(self, s: Tensor, t: Tensor, p: Tensor) -> Tensor:
        """(B, *shape) log-odds of a 1 given s_t, if entries were independent with probabilities p."""

    @abstractmethod
    def divergence(self, x: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        """(B, *shape) nats: KL( q(s_{t−1} | s_t, x) || p(s_{t−1} | s_t) ), t ≥ 1."""

    @abstractmethod
    def back(
        self,
        s: Tensor,
        logits: Tensor,
        t: Tensor,
        p: Tensor,
        generator: Generator,
        until: Tensor | None = None,
    ) -> Tensor:
        """A draw of p(s_until | s_t), until < t: (); None is t − 1, the step that the bound describes."""

    @abstractmethod
    def log_prob(self, to: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        """(B, *shape) nats: log p(s_{t−1} = to | s_t = s)."""


class Binomial(BitKernel):
    """towards: what bits become in the end, "marginal" frequencies or "half" ones and half zeros."""

    def __init__(self, steps: int = 1000, towards: str = "marginal") -> None:
        super().__init__(steps)
        if towards not in ("marginal", "half"):
            raise UsageError(f"towards={towards}: expected marginal or half")
        self.towards = towards

    def noised(self, x: Tensor, t: Tensor, p: Tensor, generator: Generator | None) -> Tensor:
        left = self.left(t, x)
        return _signs(left * x + (1 - left) * self._end(p), generator)

    def evidence(self, s: Tensor, t: Tensor, p: Tensor) -> Tensor:
        ones, zeros = self._likelihoods(s, self.left(t, s), self._end(p))
        return p.logit() + ones.log() - zeros.log()

    def divergence(self, x: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        one, zero = self._posteriors(s, t, p)
        q = torch.where(x > 0.5, one, zero)
        return _relative(q, _mixed(one, zero, logits)) + _relative(
            1 - q, _mixed(1 - one, 1 - zero, logits)
        )

    def back(
        self,
        s: Tensor,
        logits: Tensor,
        t: Tensor,
        p: Tensor,
        generator: Generator,
        until: Tensor | None = None,
    ) -> Tensor:
        return _signs(_mixed(*self._posteriors(s, t, p, until), logits), generator)

    def log_prob(self, to: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        one = _mixed(*self._posteriors(s, t, p), logits)
        return torch.where(to > 0, one, 1 - one).log()

    def _end(self, p: Tensor) -> Tensor:
        """π"""
        return p if self.towards == "marginal" else torch.full_like(p, 0.5)

    def _likelihoods(self, s: Tensor, left: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """The probability of s where a 1, and where a 0, stood before a share ``left`` was kept."""
        drawn = (1 - left) * torch.where(s > 0, end, 1 - end)
        return drawn + left * (s > 0), drawn + left * (s < 0)

    def _posteriors(
        self, s: Tensor, t: Tensor, p: Tensor, until: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """q(s_until = 1 | s_t, x) of x = 1 and of x = 0; until: None is t − 1."""
        end, before = self._end(p), self.left(t - 1 if until is None else until, s)
        of_one, of_zero = self._likelihoods(s, self.left(t, s) / before, end)
        found = []
        for x in (1.0, 0.0):
            a = before * x + (1 - before) * end
            found.append(of_one * a / (of_one * a + of_zero * (1 - a)))
        return found[0], found[1]


class Absorbing(BitKernel):
    def noised(self, x: Tensor, t: Tensor, p: Tensor, generator: Generator | None) -> Tensor:
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return torch.where(u < self.left(t, x), 2 * x - 1, 0.0)

    def evidence(self, s: Tensor, t: Tensor, p: Tensor) -> Tensor:
        """What is not hidden is known, and asks for no number."""
        return p.logit().expand_as(s)

    def divergence(self, x: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        """A hidden entry is shown with probability 1/t, by q and by p; then p may show the wrong
        value.
        """
        surprise = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        return torch.where(s == 0, surprise, 0.0) / _shaped(t, s)

    def back(
        self,
        s: Tensor,
        logits: Tensor,
        t: Tensor,
        p: Tensor,
        generator: Generator,
        until: Tensor | None = None,
    ) -> Tensor:
        u = torch.rand(s.shape, generator=generator, device=s.device, dtype=s.dtype)
        shown = (s == 0) & (u * _shaped(t, s) < (1 if until is None else _shaped(t - until, s)))
        return torch.where(shown, _signs(logits.sigmoid(), generator), s)

    def log_prob(self, to: Tensor, s: Tensor, logits: Tensor, t: Tensor, p: Tensor) -> Tensor:
        rate = 1 / _shaped(t, s)
        shown = rate.log() + F.logsigmoid(to * logits)
        each = torch.where(to == 0, torch.log1p(-rate), shown)
        return torch.where(s == 0, each, 0.0)


def _shaped(t: Tensor, like: Tensor) -> Tensor:
    return t.double().reshape(-1, *[1] * (like.dim() - 1))


def _signs(p: Tensor, generator: Generator | None) -> Tensor:
    """+1 with probability p, else −1."""
    u = torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype)
    return torch.where(u < p, 1.0, -1.0).to(p.dtype)


def _mixed(one: Tensor, zero: Tensor, logits: Tensor) -> Tensor:
    """Σ_x p̂(x) of what it would be of x = 1 and of x = 0."""
    return logits.sigmoid() * one + (-logits).sigmoid() * zero


def _relative(q: Tensor, p: Tensor) -> Tensor:
    """q log(q / p), 0 where q is."""
    return torch.xlogy(q, q) - torch.xlogy(q, p)
