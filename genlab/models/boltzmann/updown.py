"""Up–down fine-tuning: contrastive wake–sleep (Hinton, Osindero, Teh 2006, appendix B).

Recognition and generation get weights of their own. In the wake phase data rise by recognition, and
each layer's generation learns to make the states below out of the states above. In between, the top
machine learns by contrastive divergence, its chains beginning where the data arrived. In the sleep
phase the ends of its chains descend by generation, and each layer's recognition learns to find the
states above. As one loss, with h_0 = v, h_1, … of the wake and h̃_0, h̃_1, … of the sleep phase:

  Σ_l −log p(h_{l−1} | h_l)  +  F(h_{L−1}) − F(h̃_{L−1})  +  Σ_l −log q(h̃_l | h̃_{l−1}),

whose three terms have no parameter in common.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.directed import Layer, Untied, descend, rise
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.nn.precision import full_precision


class UpDown(nn.Module):
    """machines: those below the top one, from the data upwards. learner: of the top machine. gibbs: steps
    of its chains in equal parts of the training.

    begun: whether the directed layers have weights of their own yet.
    """

    def __init__(
        self,
        machines: Sequence[RestrictedBoltzmann],
        learner: Contrastive,
        gibbs: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.untied = nn.ModuleList(Untied(machine) for machine in machines)
        self.learner, self.gibbs = learner, gibbs
        self.begun: Tensor
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def begin(self, machines: Sequence[Couplings]) -> None:
        """Start where the machines are."""
        for layer, machine in zip(self.untied, machines, strict=True):
            layer.begin(machine)  # type: ignore[operator]
        self.begun.fill_(True)

    def layers(self) -> list[Layer]:
        return [layer.layer() for layer in self.untied]  # type: ignore[operator]

    def loss(self, v: Tensor, top: Callable[[Tensor], Tensor], progress: float) -> Tensor:
        """Scalar (nats) of visible units v: (n, D).

        top: makes the visible units of the top machine out of the highest states h: (n, H). progress: how
        much of the training is done, in [0, 1].
        """
        layers = self.layers()
        with full_precision(v.device):
            with torch.no_grad():
                awake = rise(layers, v.detach())
            wake = wake_loss(layers, [v, *awake[1:]])
            part = min(int(progress * len(self.gibbs)), len(self.gibbs) - 1)
            self.learner.chains.steps = self.gibbs[part]
            contrast, fantasy = self.learner.step(top(awake[-1]))
            with torch.no_grad():
                asleep = descend(layers, fantasy[:, : awake[-1].shape[1]])
            return wake + contrast + sleep_loss(layers, asleep)


def wake_loss(layers: Sequence[Layer], states: Sequence[Tensor]) -> Tensor:
    """Scalar: Σ_l −log p(h_{l−1} | h_l) of states h_0, h_1, …, each (n, H_l)."""
    steps = zip(layers, itertools.pairwise(states), strict=True)
    return -torch.stack(
        [layer.down.log_prob(low, high).mean() for layer, (low, high) in steps]
    ).sum()


def sleep_loss(layers: Sequence[Layer], states: Sequence[Tensor]) -> Tensor:
    """Scalar: Σ_l −log q(h_l | h_{l−1}) of states h_0, h_1, …, each (n, H_l)."""
    steps = zip(layers, itertools.pairwise(states), strict=True)
    return -torch.stack([layer.up.log_prob(high, low).mean() for layer, (low, high) in steps]).sum()
