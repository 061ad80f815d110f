"""The path from independent units to a restricted Boltzmann machine (Salakhutdinov & Murray 2008).

The start is a machine without weights whose visible biases b_0 are the base rates of the data. Between
it and the machine (W, b, c) the energies are mixed geometrically, and h is summed out:

  log f_β(v) = (1 − β) b_0ᵀv + β bᵀv − e(v) + A_h(β (Wv + c)).

At β = 0 this sums to exp(A_v(b_0) + A_h(0)) over all v.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Generator, Tensor

from genlab.contracts import AnnealingPath, State
from genlab.models.boltzmann.couplings import Couplings


class BaseRatePath(AnnealingPath):
    """A state is v: (n, D), z = Wv + c: (n, H), what is left of z when the part of A_h(βz) that is
    linear in β is taken off: (n, H), that part, and the other linear parts at both ends, b_0ᵀv and bᵀv:
    (n,) float64.

    A temperature costs two products with W: h from z, v from h, and z anew, which serves the weights at
    both its ends and the next transition.

    machine: taken as it is now, unless what is learned later shall reach the path: give a ``copy()``
    then. base: b_0 (D,).
    """

    def __init__(self, machine: Couplings, base: Tensor) -> None:
        self.machine = machine
        self.base = base.to(machine.visible)

    @cached_property
    def log_z0(self) -> float:  # type: ignore[override]
        """Only when asked for: a float waits for the GPU, and training asks for none."""
        v, h = self.machine.visible_units, self.machine.hidden_units
        none = torch.zeros(1, h.size, dtype=torch.float64)
        base = self.base.double()[None]
        return float(v.log_partition(base)) + float(h.log_partition(none))

    def start(self, n: int, *, generator: Generator) -> State:
        return self.state(self.machine.visible_units.draw(self.base.repeat(n, 1), generator))

    def end(self, n: int, *, generator: Generator) -> State | None:
        if self.machine.summable is None:
            return None
        return self.state(self.machine.draw(n, generator=generator))

    def log_f(self, state: State, beta: float) -> Tensor:
        _, _, rest, linear, first, last = state
        return first.lerp(last, beta) + self.machine.hidden_units.tempered(linear, rest, beta)

    def transition(self, state: State, beta: float, *, generator: Generator | None) -> State:
        """Draws h given v and then v given h, both at beta: reversible for the marginal of v."""
        h = self.machine.hidden_units.draw(beta * state[1], generator)
        bias = self.base.lerp(self.machine.visible, beta)
        z = torch.addmm(bias, h, self.machine.weight, alpha=beta)
        return self.state(self.machine.visible_units.draw(z, generator))

    def state(self, v: Tensor) -> State:
        """The state of chains that are at v: (n, D)."""
        z = self.machine.activation(v)
        linear, rest = self.machine.hidden_units.split(z)
        own = self.machine.visible_units.energy(v)
        first, last = ((v @ bias - own).double() for bias in (self.base, self.machine.visible))
        return v, z, rest, linear, first, last
