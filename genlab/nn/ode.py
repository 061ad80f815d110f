"""Ordinary differential equations dy/dt = f(t, y) by torchdiffeq, and data and noise carried along a flow.

The state is float64, whatever the type in which a velocity is evaluated: a solver takes rounding for a
rough velocity.

- Chen, Rubanova, Bettencourt, Duvenaud 2018, "Neural Ordinary Differential Equations", arXiv 1806.07366
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genlab.contracts import HasVelocity
from genlab.errors import GenlabError
from genlab.nn.precision import full_precision

ADAPTIVE = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
FIXED = {"euler": "euler", "heun": "heun2", "rk4": "rk4"}  # as torchdiffeq calls them
MOST_STEPS = 10_000  # of an adaptive solver


class Unsolved(GenlabError):
    """No step of an adaptive solver meets its tolerance."""


Field = Callable[[Tensor, Tensor], Tensor]  # t: () and y to dy/dt


class Solver(NamedTuple):
    """name: one of ``ADAPTIVE``, with rtol and atol, or of ``FIXED``, with ``steps`` equal steps of t."""

    name: str = "dopri5"
    rtol: float = 1e-5
    atol: float = 1e-5
    steps: int = 50

    def solve(
        self,
        field: Field,
        start: Tensor,
        span: tuple[float, float],
        norm: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """y at the end of the span, whose second time may be the smaller one.

        norm: of a state, to a number; None is the root of the mean square. Raises Unsolved.
        """
        from torchdiffeq import odeint  # with scipy, which would slow down every other command

        ends = torch.tensor(span, dtype=torch.float64, device=start.device)
        if self.name in FIXED:
            grid = torch.linspace(*span, self.steps + 1, dtype=torch.float64, device=start.device)
            options: dict[str, Any] = {"grid_constructor": lambda _field, _state, _ends: grid}
        else:
            options = {"max_num_steps": MOST_STEPS} | ({"norm": norm} if norm else {})
        try:
            path = odeint(
                field,
                start,
                ends,
                rtol=self.rtol,
                atol=self.atol,
                method=FIXED.get(self.name, self.name),
                options=options,
            )
        except AssertionError as reason:  # of the adaptive solvers alone
            raise Unsolved(
                f"{self.name} found no step that meets its tolerance ({reason})"
            ) from reason
        assert isinstance(path, Tensor)
        return path[-1]


def encode(
    flow: HasVelocity, z: Tensor, *, label: Tensor | None = None, solver: Solver | None = None
) -> Tensor:
    """The point of the base distribution to which the flow carries embedded data z: (B, …)."""
    return _carry(flow, z, flow.span, label, solver or Solver())


def decode(
    flow: HasVelocity, z: Tensor, *, label: Tensor | None = None, solver: Solver | None = None
) -> Tensor:
    """The embedded data that the flow carries to z: (B, …), the inverse of ``encode``."""
    first, last = flow.span
    return _carry(flow, z, (last, first), label, solver or Solver())


@torch.no_grad()
def _carry(
    flow: HasVelocity, z: Tensor, span: tuple[float, float], label: Tensor | None, solver: Solver
) -> Tensor:
    def field(t: Tensor, state: Tensor) -> Tensor:
        return flow.velocity(state.to(z.dtype), float(t), label).double()

    with full_precision(z.device):
        return solver.solve(field, z.double(), span).to(z.dtype)


def between(a: Tensor, b: Tensor, n: int) -> Tensor:
    """(B, n, …): n points on the great circle from each row of a: (B, …) to that of b, both ends included.

    Of Gaussian noise in many dimensions, which lies near a sphere, straight lines leave the sphere
    (Shoemake 1985, "Animating Rotation with Quaternion Curves"). Rows of one norm keep it all the way;
    rows that point the same or opposite ways are joined by a straight line.
    """
    share = torch.linspace(0, 1, n, dtype=torch.float64, device=a.device)
    u, v = a.double().flatten(1), b.double().flatten(1)
    angle = torch.nn.functional.cosine_similarity(u, v).clamp(-1, 1).acos()[:, None]
    straight = angle.sin() < 1e-6
    sine = torch.where(straight, 1.0, angle.sin())
    of_a = torch.where(straight, 1 - share, ((1 - share) * angle).sin() / sine)
    of_b = torch.where(straight, share, (share * angle).sin() / sine)
    points = of_a[..., None] * u[:, None] + of_b[..., None] * v[:, None]
    return points.to(a.dtype).unflatten(2, a.shape[1:])
