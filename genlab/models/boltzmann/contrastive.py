"""Contrastive divergence as a loss: how one restricted Boltzmann machine learns.

The gradient of log p(v) is that of −F(v) at the data less its mean under the machine. With chains v⁻
for the machine the loss mean F(v⁺) − mean F(v⁻) has that gradient; its own value says nothing of
progress.

The machine is kept centred: at the means μ of the data and at a running mean λ of the hidden units
(Montavon & Müller: Deep Boltzmann Machines and the Centering Trick, 2012; Melchior, Fischer, Wiskott:
How to Center Deep Boltzmann Machines, JMLR 2016, https://jmlr.org/papers/v17/14-237.html). Practical
settings: Geoffrey Hinton: A Practical Guide to Training Restricted Boltzmann Machines, 2010.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import UsageError
from genlab.models.boltzmann.chains import SAMPLERS, FromData
from genlab.models.boltzmann.energy import RestrictedBoltzmann, contrast
from genlab.nn.precision import full_precision
from genlab.ranges import at_least
from genlab.together import mean_of_processes


class Contrastive:
    """Teaches one machine.

    sampler: where negative states come from (``chains``). steps: of Gibbs sampling at each step.
    chains: how many persistent ones on each process; None for as many as the batch. centred: keep the
    offsets at the means; drift: by how much the running mean of the hidden units follows each batch.
    weight_decay: adds weight_decay/2 · ‖W‖². sparsity: the wanted mean of Bernoulli hidden units, in
    (0, 1), pulled at by sparsity_cost times the cross entropy; None for no such pull.

    Raises UsageError for a value out of range.
    """

    def __init__(
        self,
        machine: RestrictedBoltzmann,
        sampler: Literal["cd", "reconstruction", "pcd", "fpcd", "tempering"] = "pcd",
        steps: int = 1,
        chains: int | None = None,
        centred: bool = True,
        drift: float = 0.01,
        weight_decay: float = 0.0,
        sparsity: float | None = None,
        sparsity_cost: float = 0.01,
    ) -> None:
        _require_sane(machine, sampler, steps, chains, drift, weight_decay, sparsity, sparsity_cost)
        self.machine = machine
        self.centred, self.drift, self.weight_decay = centred, drift, weight_decay
        self.sparsity, self.sparsity_cost = sparsity, sparsity_cost
        self.chains = SAMPLERS[sampler](steps, chains)

    @torch.no_grad()
    def begin(self, v: Tensor) -> None:
        """Start at the base rates of v: (N, D), centred there."""
        machine = self.machine
        machine.base.copy_(machine.visible_units.natural(v))
        machine.visible.copy_(machine.base)
        if self.centred:
            machine.centre(v.mean(0), machine.hidden_units.mean(machine.hidden[None])[0])

    def loss(self, v: Tensor) -> Tensor:
        """Scalar (nats) of data v: (n, D)."""
        return self.step(v)[0]

    def step(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of data v: (n, D), and the negative states (m, D) that it was taken at."""
        with full_precision(v.device):
            with torch.no_grad():
                data = v.detach()
                plain = self.machine.couplings()
                z = plain.activation(data)
                if self.centred:
                    self._follow(z)
                fantasy = self.chains.negative(plain, data, z, self.machine.base)
                fantasy_z = plain.activation(fantasy)
            loss = contrast(self.machine, plain, (v, z), (fantasy, fantasy_z)) + self._penalty(v)
            return loss, fantasy

    def _follow(self, z: Tensor) -> None:
        """Move λ towards the mean of the hidden units, the same on every process."""
        now = mean_of_processes(self.machine.hidden_units.mean(z).mean(0))
        self.machine.centre(hidden_offset=self.machine.hidden_offset.lerp(now, self.drift))

    def _penalty(self, v: Tensor) -> Tensor:
        penalty = v.new_zeros(())
        if self.weight_decay:
            penalty = penalty + 0.5 * self.weight_decay * self.machine.weight.square().sum()
        if self.sparsity is not None:
            own = self.machine.couplings().activation(v).sigmoid().mean(0)
            rate = mean_of_processes(own)
            wanted = torch.full_like(rate, self.sparsity)
            cost = F.binary_cross_entropy(rate, wanted, reduction="sum")
            penalty = penalty + self.sparsity_cost * cost
        return penalty

    def rank_state(self) -> dict[str, Tensor]:
        return self.chains.state()

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.chains.load(state)


def _require_sane(
    machine: RestrictedBoltzmann,
    sampler: str,
    steps: int,
    chains: int | None,
    drift: float,
    weight_decay: float,
    sparsity: float | None,
    sparsity_cost: float,
) -> None:
    if sampler not in SAMPLERS:
        raise UsageError(f"sampler={sampler}: expected {', '.join(SAMPLERS)}")
    at_least(1, steps=steps, chains=chains)
    if chains is not None and issubclass(SAMPLERS[sampler], FromData):
        raise UsageError(f"chains: {sampler} starts at the data, one chain each; leave it out")
    if not 0 < drift <= 1:
        raise UsageError(f"drift={drift} must be in (0, 1]")
    at_least(0, weight_decay=weight_decay, sparsity_cost=sparsity_cost)
    if sparsity is not None and not 0 < sparsity < 1:
        raise UsageError(f"sparsity={sparsity} must be in (0, 1)")
    if sparsity is not None and not machine.hidden_units.binary:
        raise UsageError("learning.sparsity is for Bernoulli hidden units")
