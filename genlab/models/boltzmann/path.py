"""The path from independent bits to a restricted Boltzmann machine (Salakhutdinov & Murray 2008).

The start is a machine without weights whose visible biases b_0 are the base rates of the data. Between
it and the machine (W, b, c) the energies are mixed geometrically, and h is summed out:

  log f_β(v) = (1 − β) b_0ᵀv + β bᵀv + Σ_j log(1 + exp(β (Wv + c)_j)).

At β = 0 this sums to Π_i (1 + exp b_0i) · 2^H over all v.
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import AnnealingPath, State
from genlab.models.boltzmann.energy import RestrictedBoltzmann, bernoulli
from genlab.nn.heads import Bernoulli


def base_rates(x: Tensor) -> Tensor:
    """(D,) log-odds of each bit of x: (N, D), with half a count added to both values."""
    return Bernoulli().marginal(x).squeeze(-1)


class BaseRatePath(AnnealingPath):
    """With z = Wv + c and log(1 + exp βz) = β max(z, 0) + log(1 + exp(−β|z|)), log f_β is linear in β but
    for a sum of small terms. A state is v: (n, D), z and |z|: (n, H) and the linear part at both ends,
    b_0ᵀv and bᵀv + Σ_j max(z_j, 0): (n,) float64.

    A temperature costs two products with W: h from z, v from h, and z anew, which serves the weights at
    both its ends and the next transition.

    base: b_0 (D,). The machine is taken as it is now: what is learned later does not reach the path.
    """

    def __init__(self, energy: RestrictedBoltzmann, base: Tensor) -> None:
        self.energy = deepcopy(energy)
        self.weight = self.energy.weight.detach()
        self.visible, self.hidden = (bias.detach() for bias in energy.biases())
        self.visible_start = base.to(self.visible)
        self.log_z0 = float(F.softplus(base.double()).sum()) + len(self.hidden) * math.log(2)

    def start(self, n: int, *, generator: Generator) -> State:
        return self._state(bernoulli(self.visible_start.sigmoid().repeat(n, 1), generator))

    def end(self, n: int, *, generator: Generator) -> State | None:
        if self.energy.summable is None:
            return None
        return self._state(self.energy.draw(n, generator=generator))

    def log_f(self, state: State, beta: float) -> Tensor:
        _, _, size, first, last = state
        small = (-beta * size).exp_().add_(1.0).log_().sum(1)  # half the price of log1p; 1 + e ≤ 2
        return first.lerp(last, beta) + small

    def transition(self, state: State, beta: float, *, generator: Generator) -> State:
        """Draws h given v and then v given h, both at beta: reversible for the marginal of v."""
        h = bernoulli((beta * state[1]).sigmoid_(), generator)
        bias = self.visible_start.lerp(self.visible, beta)
        p = torch.addmm(bias, h, self.weight, alpha=beta).sigmoid_()
        return self._state(bernoulli(p, generator))

    def _state(self, v: Tensor) -> State:
        z = torch.addmm(self.hidden, v, self.weight.T)
        size = z.abs()
        positive = (z.sum(1) + size.sum(1)) / 2
        return v, z, size, (v @ self.visible_start).double(), (v @ self.visible + positive).double()
