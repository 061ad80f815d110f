"""A machine that begins as the machine below it, upside down.

With W' = Wᵀ and the biases swapped the new machine's p(h) is the p(h) that the one below has given its
own visible units: the stack models the data exactly as before, and its bound, in which q(h | v) is now the
true posterior, equals the likelihood of the machine below. Training then starts from there (Hinton,
Osindero, Teh 2006, section 4).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.units import Bernoulli

NEGLIGIBLE = 1e-3  # nats that surplus units may move the log-likelihood of a datum by


def can_tie(below: RestrictedBoltzmann, above: RestrictedBoltzmann) -> bool:
    """Whether the visible units of the one can be hidden units of the other."""
    units = below.visible_units
    return isinstance(units, Bernoulli) and above.hidden_units.size >= units.size


@torch.no_grad()
def tie(below: RestrictedBoltzmann, above: RestrictedBoltzmann, v: Tensor) -> None:
    """Turn ``below`` upside down into ``above`` and keep its offsets at the means, if they were there.

    v: (N, D) data of ``above``. Its visible units that ``below`` does not have (labels) keep their biases
    and lose their weights. Its surplus hidden units get weights that do nothing to the likelihood yet, but
    differ, for equal units would stay equal.
    """
    plain = below.couplings()
    high, wide = plain.weight.shape
    centred = bool(above.visible_offset.any())
    above.centre(torch.zeros_like(above.visible_offset), torch.zeros_like(above.hidden_offset))
    above.visible[:high] = plain.hidden
    above.hidden.zero_()
    above.hidden[:wide] = plain.visible
    above.weight.zero_()
    above.weight[:wide, :high] = plain.weight.T
    above.weight[wide:, :high] = surplus(above.hidden_units.size - wide, high).to(above.weight)
    if centred:
        units, z = above.hidden_units, above.couplings().activation(v)
        above.centre(v.mean(0), units.mean(z).mean(0))


def surplus(units: int, size: int) -> Tensor:
    """(units, size) small weights.

    A unit with weights w and no bias adds wᵀ(v − E[v]) / 2 to log p(v). With weights from N(0, s²) and
    bits v, the root mean square of what all of them add is s/4 √(units · size) or less: half of NEGLIGIBLE.
    """
    scale = 2 * NEGLIGIBLE / math.sqrt(max(1, units * size))
    return scale * torch.randn(units, size)
