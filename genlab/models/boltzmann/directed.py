"""The directed layers below the top machine of a deep belief network: generation downwards, recognition
upwards.

Both directions of a layer are products of independent units given the other side. In a trained machine
they share its weights: p(v | h) has natural parameters b + Wᵀh, and q(h | v) has c + Wv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.units import Units


@dataclass(frozen=True)
class Conditional:
    """p(s | x) of independent units s: (n, S) with natural parameters Mx + a, x: (n, X).

    weight: M (S, X). bias: a (S,).
    """

    weight: Tensor
    bias: Tensor
    units: Units

    def natural(self, x: Tensor) -> Tensor:
        """(n, S)"""
        return F.linear(x, self.weight, self.bias)

    def mean(self, x: Tensor) -> Tensor:
        """(n, S) E[s | x]."""
        return self.units.mean(self.natural(x))

    def draw(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """(n, S) draws of s given x."""
        return self.units.draw(self.natural(x), generator)

    def log_prob(self, s: Tensor, x: Tensor) -> Tensor:
        """(n,) log p(s | x) in nats; differentiable."""
        z = self.natural(x)
        return (s * z).sum(1) - self.units.energy(s) - self.units.log_partition(z)


class Layer(NamedTuple):
    """up: q(h | v), recognition. down: p(v | h), generation."""

    up: Conditional
    down: Conditional


def tied(machine: Couplings) -> Layer:
    """Both directions by the weights of one machine."""
    return Layer(
        Conditional(machine.weight, machine.hidden, machine.hidden_units),
        Conditional(machine.weight.T, machine.visible, machine.visible_units),
    )


class Untied(nn.Module):
    """Both directions with parameters of their own: up (H, D) and (H,), down (D, H) and (D,)."""

    def __init__(self, machine: RestrictedBoltzmann) -> None:
        super().__init__()
        self.visible_units, self.hidden_units = machine.visible_units, machine.hidden_units
        wide, high = self.visible_units.size, self.hidden_units.size
        self.up_weight = nn.Parameter(torch.zeros(high, wide))
        self.up_bias = nn.Parameter(torch.zeros(high))
        self.down_weight = nn.Parameter(torch.zeros(wide, high))
        self.down_bias = nn.Parameter(torch.zeros(wide))

    @torch.no_grad()
    def begin(self, machine: Couplings) -> None:
        """Start with the weights of the machine in both directions."""
        up, down = tied(machine)
        self.up_weight.copy_(up.weight)
        self.up_bias.copy_(up.bias)
        self.down_weight.copy_(down.weight)
        self.down_bias.copy_(down.bias)

    def layer(self) -> Layer:
        return Layer(
            Conditional(self.up_weight, self.up_bias, self.hidden_units),
            Conditional(self.down_weight, self.down_bias, self.visible_units),
        )


def rise(layers: Sequence[Layer], v: Tensor, generator: Generator | None = None) -> list[Tensor]:
    """v and draws of the hidden units of each layer by recognition, from the bottom up."""
    states = [v]
    for layer in layers:
        states.append(layer.up.draw(states[-1], generator))
    return states


def descend(layers: Sequence[Layer], h: Tensor, generator: Generator | None = None) -> list[Tensor]:
    """Draws of each layer's visible units by generation, and h on top: from the bottom up too."""
    states = [h]
    for layer in reversed(layers):
        states.insert(0, layer.down.draw(states[0], generator))
    return states
