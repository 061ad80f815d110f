"""Where the negative phase of contrastive divergence comes from.

| ``sampler`` | chains begin | source |
|---|---|---|
| ``cd`` | at the data, at every step | Hinton 2002 |
| ``reconstruction`` | there, with means in the place of drawn visible units | Hinton & Salakhutdinov 2006 |
| ``pcd`` | where they were | Tieleman 2008 |
| ``fpcd`` | where they were, with fast weights added to the machine's | Tieleman & Hinton 2009 |
| ``tempering`` | where they were, at ten temperatures | Desjardins et al. 2010 |

Persistent chains belong to a process: each rank has its own, and a checkpoint keeps them all.

Data that are means themselves (grey levels, hidden units of the machine below) lack the noise of bits.
Chains of bits have it, and contrastive divergence would unlearn it, with the weights: means are set
against means, by ``reconstruction``.

Geoffrey Hinton: Training Products of Experts by Minimizing Contrastive Divergence, 2002. Tijmen
Tieleman: Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient, ICML
2008. Tieleman, Hinton: Using Fast Weights to Improve Persistent Contrastive Divergence, ICML 2009.
Desjardins, Courville, Bengio, Vincent, Delalleau: Tempered Markov Chain Monte Carlo for Training of
Restricted Boltzmann Machines, AISTATS 2010.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.path import BaseRatePath

FAST_RATE = 0.05
FAST_DECAY = 0.95  # of the fast weights, each step
TEMPERATURES = 10


class Chains(ABC):
    """steps: of Gibbs sampling at each step of training. chains: how many; None for as many as the
    batch.
    """

    def __init__(self, steps: int, chains: int | None) -> None:
        self.steps, self.chains = steps, chains

    @abstractmethod
    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        """(m, D) states of the machine, from data v: (n, D) with z: (n, H). base: (D,) natural
        parameters of independent units like the data.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What must outlive an interruption."""

    @abstractmethod
    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave."""


class FromData(Chains):
    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Nothing is kept."""

    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        first = machine.visible_given(machine.hidden_units.draw(z.clone()))
        return machine.gibbs(first, self.steps - 1)


class Reconstruction(FromData):
    """Hidden units are drawn, visible ones are means."""

    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        v = machine.visible_mean(machine.hidden_units.draw(z.clone()))
        for _ in range(self.steps - 1):
            v = machine.visible_mean(machine.hidden_given(v))
        return v


class Persistent(Chains):
    def __init__(self, steps: int, chains: int | None) -> None:
        super().__init__(steps, chains)
        self._v: Tensor | None = None

    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        self._v = machine.gibbs(self._where(v), self.steps)
        return self._v

    def _where(self, v: Tensor) -> Tensor:
        """(m, D) where the chains are; at first at data, some of them twice if they are more."""
        if self._v is None:
            return v[torch.arange(self.chains or len(v), device=v.device) % len(v)].clone()
        return self._v.to(v)

    def state(self) -> dict[str, Tensor]:
        return {} if self._v is None else {"v": self._v}

    def load(self, state: dict[str, Tensor]) -> None:
        self._v = state.get("v")


class Fast(Persistent):
    """The fast weights learn at a rate of their own, decay, and are seen by the chains alone."""

    def __init__(self, steps: int, chains: int | None) -> None:
        super().__init__(steps, chains)
        self._fast: dict[str, Tensor] = {}

    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        names = ("weight", "visible", "hidden")
        own = {name: getattr(machine, name) for name in names}
        fast = {name: self._fast.get(name, torch.zeros_like(own[name])).to(v) for name in names}
        self._v = replace(machine, **{n: own[n] + fast[n] for n in names}).gibbs(
            self._where(v), self.steps
        )
        h, fantasy = machine.hidden_units.mean(z), self._v
        fantasy_h = machine.hidden_units.mean(machine.activation(fantasy))
        uphill = {
            "weight": h.T @ v / len(v) - fantasy_h.T @ fantasy / len(fantasy),
            "visible": v.mean(0) - fantasy.mean(0),
            "hidden": h.mean(0) - fantasy_h.mean(0),
        }
        self._fast = {n: FAST_DECAY * fast[n] + FAST_RATE * uphill[n] for n in names}
        return fantasy

    def state(self) -> dict[str, Tensor]:
        return super().state() | {f"fast {name}": value for name, value in self._fast.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        super().load(state)
        self._fast = {k.removeprefix("fast "): v for k, v in state.items() if k.startswith("fast ")}


class Tempered(Persistent):
    """Chains along the path from the base rates to the machine; neighbours trade places (Metropolis)."""

    def negative(self, machine: Couplings, v: Tensor, z: Tensor, base: Tensor) -> Tensor:
        path = BaseRatePath(machine, base)
        betas = torch.linspace(0, 1, TEMPERATURES).tolist()
        states = list(self._where(v))
        for _ in range(self.steps):
            moved = [
                path.transition(path.state(s), beta, generator=None)[0]
                for s, beta in zip(states, betas, strict=True)
            ]
            states = _swapped(path, moved, betas)
        self._v = torch.stack(states)
        return states[-1]

    def _where(self, v: Tensor) -> Tensor:
        """(temperatures, m, D)"""
        where = super()._where(v)
        return where.expand(TEMPERATURES, -1, -1) if where.ndim == 2 else where


def _swapped(path: BaseRatePath, v: list[Tensor], betas: list[float]) -> list[Tensor]:
    """Trade places with probability min(1, f_a(v_b) f_b(v_a) / f_a(v_a) f_b(v_b)), from the hottest
    up.
    """
    for cold in range(1, len(v)):
        a, b = betas[cold - 1], betas[cold]
        hot_state, cold_state = path.state(v[cold - 1]), path.state(v[cold])
        log_ratio = (
            path.log_f(cold_state, a)
            + path.log_f(hot_state, b)
            - path.log_f(hot_state, a)
            - path.log_f(cold_state, b)
        )
        trade = (torch.rand_like(log_ratio).log() < log_ratio).unsqueeze(1)
        v[cold - 1], v[cold] = (
            torch.where(trade, v[cold], v[cold - 1]),
            torch.where(trade, v[cold - 1], v[cold]),
        )
    return v


SAMPLERS: dict[str, type[Chains]] = {
    "cd": FromData,
    "reconstruction": Reconstruction,
    "pcd": Persistent,
    "fpcd": Fast,
    "tempering": Tempered,
}
