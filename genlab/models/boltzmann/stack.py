"""A stack of restricted Boltzmann machines, trained greedily: the hidden units of each are the data of
the next.

Geoffrey Hinton, Simon Osindero, Yee-Whye Teh: A Fast Learning Algorithm for Deep Belief Nets. Neural
Computation 2006, https://www.cs.toronto.edu/~hinton/absps/fastnc.pdf. Hinton, Ruslan Salakhutdinov:
Reducing the Dimensionality of Data with Neural Networks. Science 2006.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from genlab.contracts import Batch, Stage, UsageError
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.nn.precision import full_precision


class Stack(nn.ModuleList):
    """machines: from the data upwards. learning: makes the teacher of each.

    Raises UsageError where a machine does not take what the one below it gives.
    """

    def __init__(
        self,
        machines: Sequence[RestrictedBoltzmann],
        learning: Callable[[RestrictedBoltzmann], Contrastive] = Contrastive,
    ) -> None:
        for number, (below, above) in enumerate(itertools.pairwise(machines), 2):
            gives, takes = below.hidden_units.size, above.visible_units.size
            if gives != takes:
                raise UsageError(
                    f"layer {number} takes {takes} units, but layer {number - 1} gives {gives}"
                )
        super().__init__(machines)
        self.learners = [learning(machine) for machine in machines]

    def stages(self, visible: Callable[[Batch], Tensor], *, draw: bool) -> list[Stage]:
        """One stage for each machine: rbm1, rbm2, … visible: (B, D) units of a batch.

        draw: whether data of the upper machines are draws of the hidden units below, or their means.
        """
        return [
            Stage(
                f"rbm{number}",
                machine,  # type: ignore[arg-type]
                partial(self._loss, number - 1, visible, draw),
                lr_schedule="linear",
                begin=partial(self._begin, number - 1, visible, draw),
                about=f"free energy of layer {number} ({machine.extra_repr()} units)",
            )
            for number, machine in enumerate(self, 1)
        ]

    @torch.no_grad()
    def lift(self, v: Tensor, depth: int, *, draw: bool) -> Tensor:
        """(B, H_depth) the hidden units above ``depth`` machines, of v: (B, D). Without autocast."""
        with full_precision(v.device):
            for learner in self.learners[:depth]:
                plain = learner.machine.couplings()
                z = plain.activation(v)
                v = plain.hidden_units.draw(z) if draw else plain.hidden_units.mean(z)
        return v

    def _begin(
        self, level: int, visible: Callable[[Batch], Tensor], draw: bool, batch: Batch
    ) -> None:
        self.learners[level].begin(self.lift(visible(batch), level, draw=draw))

    def _loss(
        self, level: int, visible: Callable[[Batch], Tensor], draw: bool, batch: Batch
    ) -> Tensor:
        return self.learners[level].loss(self.lift(visible(batch), level, draw=draw))

    def rank_state(self) -> dict[str, Tensor]:
        return {
            f"rbm{number} {name}": value
            for number, learner in enumerate(self.learners, 1)
            for name, value in learner.rank_state().items()
        }

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        for number, learner in enumerate(self.learners, 1):
            start = f"rbm{number} "
            own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            learner.load_rank_state(own)
