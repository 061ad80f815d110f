"""Drawing from a restricted Boltzmann machine by an annealed Gibbs chain.

Chains begin at independent units with the base rates of the data, where every mode of the machine is in
reach, and follow the path to the machine, so that a finite chain ends in each mode about as often as it
should. What is known of a state (a label, a part of an image) is put back after every transition: each
is then a transition of the path of the conditional distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from genlab.models.boltzmann.path import BaseRatePath


class Known(NamedTuple):
    """What is known of n states: values v where the mask is True, both (n, D)."""

    v: Tensor
    mask: Tensor


def anneal(
    path: BaseRatePath,
    n: int,
    temperatures: int,
    settle: int,
    *,
    known: Known | None = None,
    generator: Generator,
) -> Iterator[Tensor]:
    """(n, D) states after each of ``temperatures`` equal steps of beta to 1, and ``settle`` more
    there.
    """
    state = path.start(n, generator=generator)
    for beta in [*torch.linspace(0, 1, temperatures + 1).tolist(), *settle * [1.0]]:
        if beta:
            state = path.transition(state, beta, generator=generator)
        if known is not None:
            state = path.state(torch.where(known.mask, known.v, state[0]))
        if beta:
            yield state[0]
