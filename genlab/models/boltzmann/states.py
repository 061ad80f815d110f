"""Sums over all states of one side of a restricted Boltzmann machine, in float64.

Summed out over the far side, a state s of the near side has log weight Σ_i s_i a_i + A(z), z = sM + d,
where A is the log partition function of the far side's units. Split into its leading and its trailing
units, a state's z is the sum of one row for each part: with n near and m far units a block costs an
addition and a softplus, not a matrix product over n units.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from genlab.models.boltzmann.units import Units

BLOCK = 7  # trailing units: 2^7 states at a time stay in the cache


def codes_to_bits(codes: Tensor, units: int) -> Tensor:
    """(…, units) float64 bits of whole numbers, the highest first."""
    places = torch.arange(units - 1, -1, -1, device=codes.device)
    return (codes.unsqueeze(-1) >> places & 1).double()


def log_weights(matrix: Tensor, near: Tensor, far: Tensor, far_units: Units) -> Tensor:
    """(2^n,) float64: the log weight of every state of the near side, in the order of its code.

    matrix: (n, m) weights. near: (n,), far: (m,) biases. far_units: what the far side is made of.
    """
    matrix, near, far = matrix.double(), near.double(), far.double()
    n = len(near)
    trailing = min(n, BLOCK)
    leading = n - trailing
    block = _all_states(trailing, matrix.device)
    z = block @ matrix[leading:] + far
    own = block @ near[leading:]
    total = torch.empty(2**leading, 2**trailing, dtype=torch.float64, device=matrix.device)
    for row, bits in zip(total, _all_states(leading, matrix.device), strict=True):
        far_sum = far_units.log_partition(z + bits @ matrix[:leading])
        row.copy_(far_sum + own + bits @ near[:leading])
    return total.flatten()


def draw(log_weight: Tensor, n: int, *, generator: Generator) -> Tensor:
    """(n,) codes in proportion to exp(log_weight): (S,). torch.multinomial takes 2^24 states at most."""
    up_to = (log_weight - log_weight.max()).exp().cumsum(0)
    u = torch.rand(n, dtype=torch.float64, generator=generator, device=log_weight.device)
    return torch.searchsorted(up_to, u * up_to[-1], right=True).clamp(max=len(up_to) - 1)


def _all_states(units: int, device: torch.device) -> Tensor:
    """(2^units, units)"""
    return codes_to_bits(torch.arange(2**units, device=device), units)
