"""Feed-forward networks that start from a stack of machines, or from random weights for comparison.

Upwards a machine's mean E[h | v] = s(Wv + c) is one layer of a network, downwards E[v | h] = s(Wᵀh + b)
is another, so that a trained stack is a network before that has seen an error signal.

| ``start`` | hidden units | first weights |
|---|---|---|
| ``pretrained`` | sigmoid | those of the stack |
| ``random`` | sigmoid | uniform in ±1/√n, n the inputs of a unit, the custom of the time |
| ``modern`` | rectified, normalised over the batch | normal with variance 2/n |

Dumitru Erhan, Yoshua Bengio, Aaron Courville, Pierre-Antoine Manzagol, Pascal Vincent, Samy Bengio: Why
Does Unsupervised Pre-training Help Deep Learning? JMLR 2010, https://jmlr.org/papers/v11/erhan10a.html
(±1/√n, which Xavier Glorot & Yoshua Bengio, AISTATS 2010, call the common heuristic and find wanting).
Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Delving Deep into Rectifiers. ICCV 2015 (2/n). Sergey
Ioffe, Christian Szegedy: Batch Normalization. ICML 2015.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.contracts import Batch, Stage, UsageError
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.stack import Stack
from genlab.models.boltzmann.units import Bernoulli, Units
from genlab.nn.initialisation import initialise
from genlab.nn.mlp import MLP
from genlab.ranges import at_least, one_or_more

Start = Literal["pretrained", "random", "modern"]
STARTS = ("pretrained", "random", "modern")
LEARNING = partial(Contrastive, sampler="reconstruction")
RATE = 3e-3  # of machines with Bernoulli hidden units, by Adam


def require_sane(hidden: Sequence[int], start: str, sweeps: int) -> None:
    """Raises UsageError for no layers, a layer without units, an unknown start or no sweeps."""
    one_or_more(1, hidden=hidden)
    if start not in STARTS:
        raise UsageError(f"start={start}: expected {', '.join(STARTS)}")
    at_least(1, sweeps=sweeps)


def network(sizes: Sequence[int], start: Start, dropout: float = 0.0) -> MLP:
    """(B, sizes[0]) to (B, sizes[-1]), linear at its end, with random weights and biases 0.

    Those of a pre-trained network are random too, until ``climb`` and ``descend`` take their place.
    """
    modern = start == "modern"
    activation = "relu" if modern else "sigmoid"
    made = MLP(sizes[0], tuple(sizes[1:-1]), sizes[-1], activation, dropout, normalise=modern)
    for layer in linear_maps(made):
        nn.init.zeros_(layer.bias)
        if modern:
            initialise(layer, "he")
        else:
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound)
    return made


def linear_maps(network: nn.Module) -> list[nn.Linear]:
    """From the input to the output."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


@torch.no_grad()
def climb(machine: RestrictedBoltzmann, layer: nn.Linear) -> None:
    """Make the layer give the natural parameters of h from v."""
    plain = machine.couplings()
    layer.weight.copy_(plain.weight)
    layer.bias.copy_(plain.hidden)


@torch.no_grad()
def descend(machine: RestrictedBoltzmann, layer: nn.Linear) -> None:
    """Make the layer give the natural parameters of v from h."""
    plain = machine.couplings()
    layer.weight.copy_(plain.weight.T)
    layer.bias.copy_(plain.visible)


def machines(
    sizes: Sequence[int],
    learning: Callable[[RestrictedBoltzmann], Contrastive],
    top: Callable[[int], Units] = Bernoulli,
) -> Stack:
    """A machine between each size and the next, the last with hidden units of the kind ``top``."""
    kinds = [*(len(sizes) - 2) * [Bernoulli], top]
    return Stack(
        [
            RestrictedBoltzmann(below, kind(above))
            for kind, (below, above) in zip(kinds, itertools.pairwise(sizes), strict=True)
        ],
        learning,
    )


def adam(rate: float, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=rate, fused=True)


def pretraining(stack: Stack, rates: Sequence[float], sweeps: int) -> list[Stage]:
    """The stages of the stack, each machine learning from the means of the units below it.

    rates: the learning rate of each machine. sweeps: over the training data, of each. Grey values of
    the data are taken as probabilities of bits.
    """
    return [
        replace(stage, optimizer=partial(adam, rate), max_epochs=sweeps, validate=_nothing)
        for stage, rate in zip(stack.stages(flat, draw=False), rates, strict=True)
    ]


def flat(batch: Batch) -> Tensor:
    """(B, D)"""
    return batch.x.flatten(1)


def _nothing(batch: Batch) -> dict[str, Tensor]:
    """Contrastive divergence has no honest value."""
    return {}
