"""A masked network: θ_d of every dimension from the dimensions before it, in any stored ordering."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab import randomness
from genlab.models.made.masks import degrees, masks, positions

CACHED_ENTRIES = 2**28  # masks are kept if all orderings together have at most so many entries


class MaskedNetwork(nn.Module):
    """x: (B, D) to θ: (B, D, P) under one of K orderings.

    hidden: widths of the hidden layers; none leaves a fully visible sigmoid belief network (Frey 1998).
    direct: also connect inputs to outputs. Orderings and degrees are buffers, so that a saved model
    does not depend on how any version of torch draws permutations.
    """

    def __init__(
        self,
        size: int,
        params: int,
        hidden: Sequence[int],
        activation: Callable[[Tensor], Tensor],
        orderings: int,
        random_order: bool,
        direct: bool,
        dropout: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.size, self.params, self.activation, self.dropout = size, params, activation, dropout
        generators = [randomness.generator("made masks", seed, k) for k in range(orderings)]
        order = [positions(size, random_order, g) for g in generators]
        self.positions: Tensor
        self.register_buffer("positions", torch.stack(order))
        self.layers: list[nn.Linear] = nn.ModuleList()  # type: ignore[assignment]
        width = size
        for layer, units in enumerate(hidden):
            degree = torch.stack([degrees(size, units, g) for g in generators])
            self.register_buffer(f"degrees_{layer}", degree)
            self.layers.append(nn.Linear(width, units))
            width = units
        self.output = nn.Parameter(torch.empty(size, params, width)) if hidden else None
        self.direct = (
            nn.Parameter(torch.zeros(size, params, size)) if direct or not hidden else None
        )
        self.bias = nn.Parameter(torch.zeros(size, params))
        if self.output is not None:
            nn.init.uniform_(self.output, -1 / math.sqrt(width), 1 / math.sqrt(width))
        self._kept: dict[tuple[int, torch.device], tuple[list[Tensor], Tensor, Tensor]] = {}

    @property
    def orderings(self) -> int:
        return len(self.positions)

    def degrees(self, k: int) -> list[Tensor]:
        """The degrees (H_l,) of each hidden layer under ordering k."""
        return [getattr(self, f"degrees_{layer}")[k] for layer in range(len(self.layers))]

    def forward(self, x: Tensor, k: int = 0, position: Tensor | None = None) -> Tensor:
        """position: (D,), an ordering of the caller's in place of the k-th."""
        hidden, output, direct = (
            self._masks(k) if position is None else masks(position, self.degrees(k))
        )
        h = x
        for layer, mask in zip(self.layers, hidden, strict=True):
            h = self.activation(F.linear(h, torch.where(mask, layer.weight, 0.0), layer.bias))
            h = F.dropout(h, self.dropout, self.training) if self.dropout else h
        theta = self.bias.flatten()
        if self.output is not None:
            theta = theta + h @ self._visible(self.output, output)
        if self.direct is not None:
            theta = theta + x @ self._visible(self.direct, direct)
        return theta.expand(len(x), -1).unflatten(-1, (self.size, self.params))

    def _visible(self, weight: Tensor, mask: Tensor) -> Tensor:
        """(H, D·P): what a weight of (D, P, H) leaves through a mask of (D, H).

        The stored weight is never multiplied by a mask: another ordering needs what this one hides.
        """
        return torch.where(mask[:, None, :], weight, 0.0).flatten(0, 1).T

    def _masks(self, k: int) -> tuple[list[Tensor], Tensor, Tensor]:
        key = k, self.bias.device
        if key in self._kept:
            return self._kept[key]
        found = masks(self.positions[k], self.degrees(k))
        entries = sum(m.numel() for m in found[0]) + found[1].numel() + found[2].numel()
        if entries * self.orderings <= CACHED_ENTRIES:
            self._kept[key] = found
        return found
