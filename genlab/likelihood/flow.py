"""The probability-flow ODE: log p(x) of a model that transports data to a known distribution.

Along dz/dt = v(z, t), from embedded data z_0 at one end of the span to the base distribution at the
other, the log-density changes by the divergence of v (the instantaneous change of variables):

    log p(z_0) = log p_base(z_T) + ∫_0^T ∇·v(z_t, t) dt,      p(x) = E[ exp(log_scale) p(z_0) ].

z_t and the integral are one state, in float64; the velocity is evaluated in the model's own type, never
under autocast or in TF32: a solver takes their rounding for a rough velocity. The divergence is the trace
of the Jacobian: exact, by one backward pass for each dimension, or Hutchinson's estimate εᵀ(∂v/∂z)ε with
random signs ε, the same along a whole trajectory, so that the integrand stays smooth.

- Chen, Rubanova, Bettencourt, Duvenaud 2018, "Neural Ordinary Differential Equations", arXiv 1806.07366
- Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud 2019, "FFJORD", arXiv 1810.01367 (trace estimate)
- Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, "Score-Based Generative Modeling through
  Stochastic Differential Equations", arXiv 2011.13456
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    GenerativeModel,
    GenlabError,
    Guarantee,
    HasVelocity,
    Likelihood,
    LogLikelihood,
    Measure,
    Support,
    UsageError,
)
from genlab.likelihood.needs import require
from genlab.nn.ode import ADAPTIVE, FIXED, Solver, Unsolved
from genlab.nn.precision import full_precision
from genlab.ranges import at_least

STEPS = 50  # of a solver with fixed steps, unless the settings say otherwise


class ProbabilityFlow(Likelihood):
    """log p(x) by integrating the probability-flow ODE; solver and trace may err on either side.

    solver: adaptive "dopri5", "dopri8", "bosh3", "fehlberg2" or "adaptive_heun" with ``rtol`` and
    ``atol``, or "euler", "heun" (the trapezoidal rule of second order) or "rk4" (fourth order, Kutta's
    3/8 rule) with ``steps`` equal steps of the model's own time (None: 50). An adaptive step is taken
    when every row of the batch meets the tolerance, so a row's number depends on its neighbours within
    that tolerance; evaluation works on fixed blocks of 64 rows, whose numbers are always the same.
    samples: K draws of the embedding of discrete data, combined by log-mean-exp in float64; real data are
    embedded exactly, once. exact_up_to: the most dimensions with an exact trace. probes: random signs
    per trajectory beyond that.

    Raises UsageError for settings out of range, and for a model in training mode when it is called.
    """

    name = "flow"

    def __init__(
        self,
        model: GenerativeModel,
        solver: str = "dopri5",
        rtol: float = 1e-5,
        atol: float = 1e-5,
        steps: int | None = None,
        samples: int = 1,
        probes: int = 1,
        exact_up_to: int = 64,
    ) -> None:
        require(self.name, model)
        super().__init__(model)
        if solver not in (*ADAPTIVE, *FIXED):
            known = ", ".join((*ADAPTIVE, *FIXED))
            raise UsageError(f"likelihood.solver={solver!r}: expected one of {known}")
        if steps is not None and solver in ADAPTIVE:
            raise UsageError(
                f"likelihood.steps={steps} is for {', '.join(FIXED)}: choose likelihood.solver too, or "
                f"set likelihood.rtol and likelihood.atol of {solver}"
            )
        steps = STEPS if steps is None else steps
        at_least(1, steps=steps, samples=samples, probes=probes)
        if not 0 < min(rtol, atol) <= max(rtol, atol) < math.inf:
            raise UsageError(f"likelihood.rtol={rtol} and likelihood.atol={atol} must be positive")
        self.solver, self.rtol, self.atol, self.steps = solver, rtol, atol, steps
        self.samples = 1 if model.spec.support is Support.REAL else samples
        self.probes, self.exact_up_to = probes, exact_up_to

    @property
    def settings(self) -> dict[str, Any]:
        """Those that decide the numbers of this model: no tolerances of a solver with fixed steps, …"""
        fixed = self.solver in FIXED
        accuracy = {"steps": self.steps} if fixed else {"rtol": self.rtol, "atol": self.atol}
        trace = {"trace": "exact"} if self.exact_trace else {"probes": self.probes}
        return {"solver": self.solver, **accuracy, **trace, "samples": self.samples}

    @property
    def exact_trace(self) -> bool:
        return self.model.spec.size <= self.exact_up_to

    @property
    def method(self) -> str:
        accuracy = f"rtol {self.rtol:g}, atol {self.atol:g}"
        if self.solver in FIXED:
            accuracy = f"{self.steps} steps"
        trace = "exact trace" if self.exact_trace else f"Hutchinson trace, {self.probes} probes"
        return f"probability flow, {self.solver}, {accuracy}, {trace}, K={self.samples}"

    @torch.no_grad()
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        if self.model.training:
            raise UsageError("likelihood=flow needs a model in eval mode: call model.eval() first")
        with full_precision(x.device):
            runs = [self._estimate(x, label, generator) for _ in range(self.samples)]
        each = torch.stack([nats for nats, _ in runs])
        nfe = float(sum(calls for _, calls in runs))
        return LogLikelihood(
            each.logsumexp(0) - math.log(self.samples),
            Guarantee.ESTIMATE,
            Measure.of(self.model.spec),
            self.method,
            given="" if label is None else "label",
            diagnostics={
                "NFE": torch.full_like(each[0], nfe),
                "K": self.samples,
                "probes": 0 if self.exact_trace else self.probes,
            },
        )

    def _estimate(
        self, x: Tensor, label: Tensor | None, generator: Generator
    ) -> tuple[Tensor, int]:
        """(B,) float64 nats at one draw of the embedding, and how often the velocity was evaluated."""
        flow = self.model
        assert isinstance(flow, HasVelocity)
        z, log_scale = flow.embed(x, generator=generator)
        probes = None if self.exact_trace else signs(self.probes, z, generator)
        end, change, calls = self._integrate(flow, z, label, probes)
        return log_scale.double() + flow.base_log_prob(end).double() + change, calls

    def _integrate(
        self, flow: HasVelocity, z: Tensor, label: Tensor | None, probes: Tensor | None
    ) -> tuple[Tensor, Tensor, int]:
        """z_T: as z, ∫ ∇·v dt: (B,) float64, and the number of evaluations of v."""
        calls = 0

        def field(t: Tensor, state: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            point, time = state[:, :-1].to(z.dtype).view_as(z), float(t)
            v, trace = divergence(lambda y: flow.velocity(y, time, label), point, probes)
            return torch.cat([v.flatten(1), trace[:, None]], dim=1).double()

        start = torch.cat([z.flatten(1), z.new_zeros(len(z), 1)], dim=1).double()
        end = self._solve(field, start, flow.span)
        return end[:, :-1].to(z.dtype).view_as(z), end[:, -1], calls

    def _solve(
        self,
        field: Callable[[Tensor, Tensor], Tensor],
        start: Tensor,
        span: tuple[float, float],
    ) -> Tensor:
        solver = Solver(self.solver, self.rtol, self.atol, self.steps)
        try:
            return solver.solve(field, start, span, worst_row)
        except Unsolved as reason:
            raise GenlabError(
                f"likelihood=flow: {reason}: raise likelihood.rtol and likelihood.atol, or take "
                "likelihood.solver=rk4"
            ) from reason


def divergence(
    velocity: Callable[[Tensor], Tensor], z: Tensor, probes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """v: (B, …) and its divergence: (B,) at z: (B, …), without a graph.

    Exact where probes is None, by D backward passes through one graph, which is faster on a CPU than
    batching them; else the mean over probes: (M, B, …). Rows must not see each other.
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        v = velocity(z)
        directions = coordinates(z) if probes is None else probes
        trace = z.new_zeros(len(z))
        if v.requires_grad:
            for e in directions:
                (row,) = torch.autograd.grad(v, z, e, retain_graph=True, materialize_grads=True)
                trace = trace + (row * e).flatten(1).sum(1)
    return v.detach(), trace if probes is None else trace / len(probes)


def coordinates(z: Tensor) -> Tensor:
    """(D, B, …) for z: (B, …): the d-th coordinate direction in every row."""
    unit = torch.eye(z[0].numel(), dtype=z.dtype, device=z.device)
    return unit.view(-1, 1, *z.shape[1:]).expand(-1, *z.shape)


def signs(n: int, z: Tensor, generator: Generator) -> Tensor:
    """(n, B, …) for z: (B, …): -1 or 1 with equal probability (Rademacher variables)."""
    bits = torch.randint(2, (n, *z.shape), generator=generator, device=z.device)
    return bits.to(z.dtype) * 2 - 1


def worst_row(state: Tensor) -> Tensor:
    """() of (B, D + 1): the larger of rms z and |integral| in the row where it is largest."""
    points, integral = state[:, :-1], state[:, -1]
    return torch.maximum(points.square().mean(1).sqrt(), integral.abs()).max()
