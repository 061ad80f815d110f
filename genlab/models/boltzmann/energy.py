"""The energy of a restricted Boltzmann machine with binary units. Mathematics: the package."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import ENUMERABLE
from genlab.models.boltzmann import states
from genlab.nn.heads import full
from genlab.nn.precision import full_precision


class RestrictedBoltzmann(nn.Module):
    """p(v, h) of D visible and H hidden bits; no training rule.

    weight: W (H, D), drawn from N(0, 0.01²). visible: (D,), hidden: (H,). The parameters are those of

      E(v, h) = −(h − λ)ᵀ W (v − μ) − visibleᵀ v − hiddenᵀ h

    with offsets μ: (D,) and λ: (H,), zero unless ``centre`` moves them. Gradients in these coordinates are
    the centred ones (Montavon & Müller: Deep Boltzmann Machines and the Centering Trick, 2012).
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(hidden, size))
        self.visible = nn.Parameter(torch.zeros(size))
        self.hidden = nn.Parameter(torch.zeros(hidden))
        self.visible_offset: Tensor
        self.hidden_offset: Tensor
        self.register_buffer("visible_offset", torch.zeros(size))
        self.register_buffer("hidden_offset", torch.zeros(hidden))

    def biases(self) -> tuple[Tensor, Tensor]:
        """b: (D,) and c: (H,) of the energy without offsets."""
        visible = self.visible - self.hidden_offset @ self.weight
        hidden = self.hidden - self.weight @ self.visible_offset
        return visible, hidden

    @torch.no_grad()
    def centre(self, visible_offset: Tensor, hidden_offset: Tensor) -> None:
        """Move the offsets to μ: (D,) and λ: (H,). The distribution stays what it was."""
        visible, hidden = self.biases()
        self.visible_offset.copy_(visible_offset)
        self.hidden_offset.copy_(hidden_offset)
        self.visible.copy_(visible + hidden_offset @ self.weight)
        self.hidden.copy_(hidden + self.weight @ visible_offset)

    # ------------------------------------------------------------------------------------------- energy

    def free_energy(self, v: Tensor) -> Tensor:
        """(n,) F(v) in nats of v: (n, D): p(v) = exp(−F(v)) / Z. Never in less than float32."""
        with full_precision(v.device):
            visible, hidden = self.biases()
            z = F.linear(v, self.weight, hidden)
            return -(v @ visible) - F.softplus(z).sum(1)

    def hidden_given(self, v: Tensor, *, generator: Generator | None = None) -> Tensor:
        """(n, H) draws of h given v: (n, D)."""
        return bernoulli(F.linear(v, self.weight, self.biases()[1]).sigmoid(), generator)

    def visible_given(self, h: Tensor, *, generator: Generator | None = None) -> Tensor:
        """(n, D) draws of v given h: (n, H)."""
        return bernoulli(torch.addmm(self.biases()[0], h, self.weight).sigmoid(), generator)

    # ---------------------------------------------------------------------------- by summing out one side

    @property
    def summable(self) -> int | None:
        """Units of the smaller side; None where its states are too many to be summed over."""
        units = min(self.weight.shape)
        return units if units <= ENUMERABLE else None

    def log_z(self) -> float:
        """log Z in nats, over the states of the smaller side."""
        return float(self._log_weights().logsumexp(0))

    @torch.no_grad()
    def draw(self, n: int, *, generator: Generator) -> Tensor:
        """(n, D) independent draws of v from p(v) itself, by a table of the smaller side's states."""
        codes = states.draw(self._log_weights(), n, generator=generator)
        side = states.codes_to_bits(codes, min(self.weight.shape)).to(self.weight.dtype)
        return self.visible_given(side, generator=generator) if self._hidden_is_smaller else side

    @property
    def _hidden_is_smaller(self) -> bool:
        return len(self.hidden) <= len(self.visible)

    @torch.no_grad()
    def _log_weights(self) -> Tensor:
        """(2^n,) float64 of the smaller side's states."""
        visible, hidden = self.biases()
        if self._hidden_is_smaller:
            return states.log_weights(self.weight, hidden, visible)
        return states.log_weights(self.weight.T, visible, hidden)


def bernoulli(p: Tensor, generator: Generator | None) -> Tensor:
    """Bits that are 1 with probability p, by comparing it with 31 random bits; p is overwritten.

    They cost less than the 24 of a uniform float, which would be 0, and below any p, once in 2^24 times.
    Never in less than float32: of 31 bits bfloat16 keeps 8, and a p of 1 would fail once in 2^9 times.
    """
    p = full(p)
    random = torch.empty(p.shape, dtype=torch.int32, device=p.device).random_(generator=generator)
    return random.to(p.dtype).lt_(p.mul_(2.0**31))
