"""A restricted Boltzmann machine as something that learns: centred coordinates and their closed
gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import UsageError
from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.units import Bernoulli, Units
from genlab.nn.precision import full_precision


class RestrictedBoltzmann(nn.Module):
    """p(v, h) of D visible and H hidden units; no training rule.

    size, hidden: the units of both sides; a number for so many bits.
    weight: W (H, D), drawn from N(0, 0.01²). visible: (D,), hidden: (H,). The parameters are those of

      log p(v, h) = (h − λ)ᵀ W (v − μ) + visibleᵀ v + hiddenᵀ h − …

    with offsets μ: (D,) and λ: (H,), zero unless ``centre`` moves them. Gradients in these coordinates
    are the centred ones (Montavon & Müller: Deep Boltzmann Machines and the Centering Trick, 2012).
    What depends on the distribution alone is asked of ``couplings``. base: (D,) natural parameters of
    independent units like the data, where annealing begins; zero until training has seen data.

    Raises UsageError where neither side is bounded: Z could be infinite.
    """

    def __init__(self, size: int | Units, hidden: int | Units) -> None:
        super().__init__()
        self.visible_units = Bernoulli(size) if isinstance(size, int) else size
        self.hidden_units = Bernoulli(hidden) if isinstance(hidden, int) else hidden
        if not (self.visible_units.bounded or self.hidden_units.bounded):
            kinds = [type(u).__name__.lower() for u in (self.visible_units, self.hidden_units)]
            raise UsageError(
                f"{kinds[1]} hidden units over {kinds[0]} visible units may have no finite partition "
                "function: take Bernoulli hidden units"
            )
        wide, high = self.visible_units.size, self.hidden_units.size
        self.weight = nn.Parameter(0.01 * torch.randn(high, wide))
        self.visible = nn.Parameter(torch.zeros(wide))
        self.hidden = nn.Parameter(torch.zeros(high))
        self.visible_offset: Tensor
        self.hidden_offset: Tensor
        self.base: Tensor
        self.register_buffer("base", torch.zeros(wide))
        self.register_buffer("visible_offset", torch.zeros(wide))
        self.register_buffer("hidden_offset", torch.zeros(high))

    def extra_repr(self) -> str:
        return f"{self.visible_units.size} → {self.hidden_units.size}"

    def couplings(self) -> Couplings:
        """W, b and c without offsets."""
        visible = self.visible - self.hidden_offset @ self.weight
        hidden = self.hidden - self.weight @ self.visible_offset
        return Couplings(self.weight, visible, hidden, self.visible_units, self.hidden_units)

    @torch.no_grad()
    def centre(
        self, visible_offset: Tensor | None = None, hidden_offset: Tensor | None = None
    ) -> None:
        """Move the offsets to μ: (D,) and λ: (H,); None leaves one where it is. The distribution stays what
        it was.
        """
        if visible_offset is not None:
            self.hidden += self.weight @ (visible_offset - self.visible_offset)
            self.visible_offset.copy_(visible_offset)
        if hidden_offset is not None:
            self.visible += (hidden_offset - self.hidden_offset) @ self.weight
            self.hidden_offset.copy_(hidden_offset)

    def free_energy(self, v: Tensor) -> Tensor:
        """(n,) F(v) in nats of v: (n, D): p(v) = exp(−F(v)) / Z. Without autocast or TF32."""
        with full_precision(v.device):
            return self.couplings().free_energy(v)

    @property
    def summable(self) -> int | None:
        return self.couplings().summable

    @torch.no_grad()
    def log_z(self) -> float:
        return self.couplings().log_z()

    @torch.no_grad()
    def draw(self, n: int, *, generator: Generator) -> Tensor:
        """(n, D) independent draws of v from p(v) itself; only where ``summable``."""
        return self.couplings().draw(n, generator=generator)


def contrast(
    machine: RestrictedBoltzmann,
    plain: Couplings,
    positive: tuple[Tensor, Tensor],
    negative: tuple[Tensor, Tensor],
) -> Tensor:
    """mean F(v⁺) − mean F(v⁻), the loss of contrastive divergence (nats).

    plain: the machine's couplings. positive, negative: v: (n, D) and (m, D) with the natural parameters
    z: (n, H) and (m, H) of h given them, which no gradient passes. The gradient is written down: two thirds
    of the time that automatic differentiation of the free energies takes.
    """
    (data, z), (fantasy, fantasy_z) = positive, negative
    units = machine.visible_units
    value = _Contrast.apply(
        machine.weight, machine.visible, machine.hidden, data, machine, plain, z, fantasy, fantasy_z
    )
    return value + units.energy(data).mean() - units.energy(fantasy).mean()  # type: ignore[operator]


class _Contrast(torch.autograd.Function):
    """With Δ for positive less negative means, ĥ = E[h | v] and the offsets μ, λ:

    ∂/∂W = −Δ(ĥ − λ)(v − μ)ᵀ,   ∂/∂visible = −Δv,   ∂/∂hidden = −Δĥ,   ∂/∂v⁺ = −(b + Wᵀĥ⁺) / n.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        weight, _, _, data, machine, plain, z, fantasy, fantasy_z = given
        units = machine.hidden_units
        h, fantasy_h = units.mean(z), units.mean(fantasy_z)
        v_change = data.mean(0) - fantasy.mean(0)
        ctx.save_for_backward(weight, plain.visible, data, h, fantasy, fantasy_h, v_change)
        ctx.offsets = machine.visible_offset.clone(), machine.hidden_offset.clone()
        change = units.log_partition(z).mean() - units.log_partition(fantasy_z).mean()
        return -(v_change @ plain.visible + change)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weight, visible, data, h, fantasy, fantasy_h, v_change = ctx.saved_tensors
        mu, offset = ctx.offsets
        h_change = h.mean(0) - fantasy_h.mean(0)
        along = None
        if ctx.needs_input_grad[3]:
            along = torch.addmm(visible, h, weight) * (-gradient / len(h))
        up = (h - offset).mul_(-gradient / len(h))
        down = (fantasy_h - offset).mul_(gradient / len(fantasy_h))
        return (
            (up.T @ (data - mu)).addmm_(down.T, fantasy - mu),
            -v_change * gradient,
            -h_change * gradient,
            along,
            *5 * [None],
        )
