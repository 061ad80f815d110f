"""Drawing from a restricted Boltzmann machine by an annealed Gibbs chain.

Chains begin at independent units with the base rates of the data, where every mode of the machine is in
reach, and follow the path to the machine, so that a finite chain ends in each mode about as often as it
should. What is known of a state (a label, a part of an image) is put back after every transition: each
is then a transition of the path of the conditional distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from genlab.models.boltzmann.path import BaseRatePath

BETAS = (0.0, 0.5, 0.9, 1.0)
ENDS = (0.0, 500 / 14_500, 4500 / 14_500, 1.0)  # of the first half, where beta reaches each


class Known(NamedTuple):
    """What is known of n states: values v where the mask is True, both (n, D)."""

    v: Tensor
    mask: Tensor


def anneal(
    path: BaseRatePath,
    n: int,
    transitions: int,
    *,
    known: Known | None = None,
    generator: Generator,
) -> Iterator[Tensor]:
    """(n, D) states after each of ``transitions``: half of them lead to beta = 1, the others stay there."""
    state = path.start(n, generator=generator)
    if known is not None:
        state = path.state(torch.where(known.mask, known.v, state[0]))
    for beta in _betas(transitions):
        state = path.transition(state, beta, generator=generator)
        if known is not None:
            state = path.state(torch.where(known.mask, known.v, state[0]))
        yield state[0]


def _betas(transitions: int) -> list[float]:
    """Slowest near 1, in the proportions of Salakhutdinov & Murray (2008): it is there that modes part."""
    share = np.linspace(0, 2, transitions + 1)[1:]
    return np.interp(share, ENDS, BETAS).tolist()
