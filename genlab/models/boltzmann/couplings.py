"""What a restricted Boltzmann machine does with its weights, in plain coordinates and without gradients.

With v and h of any kinds of units (``units``), A their log partition functions and e their base
measures,

  log p(v, h) = hᵀWv + bᵀv + cᵀh − e(v) − e(h) − log Z,
  −F(v) = bᵀv − e(v) + A_h(Wv + c),   Z = ∫ exp(−F(v)) dv.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import ENUMERABLE
from genlab.models.boltzmann import states
from genlab.models.boltzmann.units import Units


@dataclass(frozen=True)
class Couplings:
    """weight: W (H, D). visible: b (D,). hidden: c (H,)."""

    weight: Tensor
    visible: Tensor
    hidden: Tensor
    visible_units: Units
    hidden_units: Units

    def copy(self) -> Couplings:
        """With tensors of its own."""
        own = {k: getattr(self, k).detach().clone() for k in ("weight", "visible", "hidden")}
        return replace(self, **own)

    def activation(self, v: Tensor) -> Tensor:
        """(n, H) natural parameters of h given v: (n, D)."""
        return F.linear(v, self.weight, self.hidden)

    def hidden_given(self, v: Tensor, generator: Generator | None = None) -> Tensor:
        """(n, H) draws of h given v: (n, D)."""
        return self.hidden_units.draw(self.activation(v), generator)

    def visible_given(self, h: Tensor, generator: Generator | None = None) -> Tensor:
        """(n, D) draws of v given h: (n, H)."""
        return self.visible_units.draw(torch.addmm(self.visible, h, self.weight), generator)

    def visible_mean(self, h: Tensor) -> Tensor:
        """(n, D) E[v] given h: (n, H)."""
        return self.visible_units.mean(torch.addmm(self.visible, h, self.weight))

    def gibbs(self, v: Tensor, steps: int, generator: Generator | None = None) -> Tensor:
        """(n, D) after drawing h given v and v given h ``steps`` times."""
        for _ in range(steps):
            v = self.visible_given(self.hidden_given(v, generator), generator)
        return v

    def free_energy(self, v: Tensor) -> Tensor:
        """(n,) F(v) in nats of v: (n, D): p(v) = exp(−F(v)) / Z. Differentiable."""
        hidden = self.hidden_units.log_partition(self.activation(v))
        return self.visible_units.energy(v) - v @ self.visible - hidden

    # ---------------------------------------------------------------------------- by summing out one side

    @property
    def summable(self) -> int | None:
        """Bits of the side that ``log_z`` sums over; None where there are too many, or there is no such
        side.
        """
        sides = (self.hidden_units, self.visible_units)
        units = min((side.size for side in sides if side.binary), default=ENUMERABLE + 1)
        return units if units <= ENUMERABLE else None

    def log_z(self) -> float:
        """log Z in nats, over the states of the smaller side of bits."""
        return float(self._log_weights().logsumexp(0))

    def draw(self, n: int, *, generator: Generator) -> Tensor:
        """(n, D) independent draws of v from p(v) itself, by a table of one side's states."""
        codes = states.draw(self._log_weights(), n, generator=generator)
        units = self.hidden_units if self._sums_hidden else self.visible_units
        side = states.codes_to_bits(codes, units.size).to(self.weight.dtype)
        return self.visible_given(side, generator) if self._sums_hidden else side

    @property
    def _sums_hidden(self) -> bool:
        hidden, visible = self.hidden_units, self.visible_units
        return hidden.binary and (not visible.binary or hidden.size <= visible.size)

    def _log_weights(self) -> Tensor:
        """(2^n,) float64 of one side's states."""
        if self._sums_hidden:
            return states.log_weights(self.weight, self.hidden, self.visible, self.visible_units)
        return states.log_weights(self.weight.T, self.visible, self.hidden, self.hidden_units)
