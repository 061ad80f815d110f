"""A trained model on the table, with what several checks want to know of it, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from genlab import randomness
from genlab.contracts import (
    Batch,
    DataSpec,
    Guarantee,
    HasLikelihood,
    LogLikelihood,
    Model,
)
from genlab.testing.ambient import ambient
from genlab.testing.spaces import Space
from genlab.testing.training import SkewedData, Training, train

Build = Callable[[DataSpec], Model]

FEWEST_REPEATS, MOST_REPEATS = 32, 200  # of a stochastic estimate; fewer make no standard error
ROWS_AT_ONCE = 4096
FLOOR = -1e3  # nats: log-probabilities below are as good as -inf, and can be averaged


@dataclass
class Subject:
    """model: trained on ``space``, in eval mode; training: what was seen on the way.

    draws: how many samples the comparisons with probabilities take.
    """

    build: Build
    space: Space
    model: Any  # its capabilities are asked for by each check
    training: Training
    seed: int
    draws: int

    @property
    def thing(self) -> Any:
        return self.model

    @property
    def title(self) -> str:
        return self.space.title

    @property
    def enumerable(self) -> bool:
        return self.space.enumerable

    @classmethod
    def trained(cls, build: Build, space: Space, *, seed: int, steps: int, draws: int) -> Subject:
        model = cls.fresh_model(build, space, seed)
        seen = train(model, space, steps=steps, seed=seed)
        return cls(build, space, model, seen, seed, draws)

    @staticmethod
    def fresh_model(build: Build, space: Space, seed: int) -> Model:
        with ambient("parameters", seed):
            return build(space.spec)

    def generator(self, *parts: str | int) -> Generator:
        return randomness.generator("conformance", self.seed, *parts)

    # ------------------------------------------------------------------------------------------- data

    def data(self, n: int) -> Batch:
        """The first n of the validation data."""
        return SkewedData(self.space, self.seed).dataset("val")[torch.arange(n)]

    def distinct(self, n: int) -> Tensor:
        """At most n different states, spread over the space: (n, *shape)."""
        states = self.space.coarse.states
        return states[:: max(1, -(-len(states) // n))]

    # ---------------------------------------------------------------------------------------- samples

    @cached_property
    def samples(self) -> Tensor:
        """(draws, *shape)"""
        n = self.draws
        blocks = [min(ROWS_AT_ONCE, n - first) for first in range(0, n, ROWS_AT_ONCE)]
        drawn = [
            self.model.sample(m, generator=self.generator("samples", b))
            for b, m in enumerate(blocks)
        ]
        return torch.cat(drawn)

    @cached_property
    def counts(self) -> Tensor:
        """(cells + 1,) of the samples; last: those outside of all cells."""
        return self.space.counts(self.samples)

    # ------------------------------------------------------------------------------------- likelihood

    def likelihood(self, x: Tensor, *parts: str | int) -> LogLikelihood:
        return self.model.log_likelihood(x.clone(), generator=self.generator("likelihood", *parts))

    @cached_property
    def exact(self) -> bool:
        """Whether the model claims log p(x) itself."""
        return isinstance(self.model, HasLikelihood) and self.model.guarantee is Guarantee.EXACT

    @cached_property
    def log_p(self) -> Tensor:
        """(S,) nats of every state, by a likelihood that claims to be exact."""
        parts = self.space.states.split(ROWS_AT_ONCE)
        return torch.cat([self.likelihood(x, i).nats.double() for i, x in enumerate(parts)])

    @cached_property
    def probabilities(self) -> Tensor:
        """(cells + 1,) by the exact likelihood, summing to one; last: outside of all cells."""
        return self.distribution(self.log_p)

    def distribution(self, log_p: Tensor) -> Tensor:
        """(cells + 1,) of log-probabilities (S,) of the states, summing to one; last: outside of all cells.

        Masses of a discrete space are normalised here: that they sum to one is a check of its own.
        """
        if self.space.volume == 1.0:
            return self._nothing_outside(log_p)
        masses = self.space.masses(log_p)
        outside = (1 - masses.sum()).clamp(min=0)[None]
        return torch.cat([masses, outside]) / (masses.sum() + outside)

    def posterior(self, log_r: Tensor) -> Tensor:
        """(cells + 1,) proportional to p(x) r(x), given log r: (S,) of the states; nothing is outside."""
        return self._nothing_outside(self.log_p + log_r)

    def _nothing_outside(self, log_p: Tensor) -> Tensor:
        masses = self.space.masses(log_p.log_softmax(0)) / self.space.volume
        return torch.cat([masses, masses.new_zeros(1)])

    # ------------------------------------------------------------------------------ stochastic numbers

    def repeat(self, name: str, rows: int, estimate: Callable[[Generator], Tensor]) -> Tensor:
        """(R, …) independent runs of an estimate that costs about ``rows`` evaluations of the model."""
        repeats = max(FEWEST_REPEATS, min(MOST_REPEATS, 1_000_000 // rows))
        runs = [estimate(self.generator("repeat", name, r)) for r in range(repeats)]
        return torch.stack(runs).double()

    @cached_property
    def noisy_nats(self) -> Tensor:
        """(R, S) repeats of the likelihood of every coarse state, at least FLOOR."""
        x = self.space.coarse.states

        def nats(generator: Generator) -> Tensor:
            parts = x.split(ROWS_AT_ONCE)
            each = [self.model.log_likelihood(p.clone(), generator=generator).nats for p in parts]
            return torch.cat(each)

        return self.repeat("nats", 4 * len(x), nats).clamp(min=FLOOR)

    def weights(self, k: int) -> Tensor:
        """(R, S) repeats of the mean of k importance weights of every coarse state."""
        x = self.space.coarse.states

        def mean_weight(generator: Generator) -> Tensor:
            parts = x.split(max(1, ROWS_AT_ONCE // k))
            each = [self.model.log_weights(p.clone(), k, generator=generator) for p in parts]
            return torch.cat(each, dim=1).double().exp().mean(0)

        return self.repeat(f"weights {k}", k * len(x), mean_weight)

    @property
    def many(self) -> int:
        """Importance samples of the better of two estimates; fewer where there are many states."""
        return max(4, min(64, 2**19 // len(self.space.coarse.states)))

    @cached_property
    def many_weights(self) -> Tensor:
        return self.weights(self.many)
