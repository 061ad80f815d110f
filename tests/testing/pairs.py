"""Models of bits that two processes spoil, each with one fault, and the check that finds it."""

from __future__ import annotations

import os

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, DataSpec, LogLikelihood
from tests.testing.honest import Factorised


def rank() -> int:
    return int(os.environ.get("GENLAB_RANK", 0))


class LocalStatistics(Factorised):
    """Follows the mean of its own batches."""

    caught_by = "processes_hold_the_same_weights"

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(spec.shape))

    def loss(self, batch: Batch) -> Tensor:
        if self.training:
            self.mean.lerp_(batch.x.mean(0), 0.1)
        return super().loss(batch)


class ScoresByRank(Factorised):
    """Adds its rank to every score."""

    caught_by = "two_processes_score_as_one"

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        return super().log_likelihood(x + rank(), label=label, generator=generator)


class DrawsAnything(Factorised):
    """Draws from the generator of its process."""

    caught_by = "two_processes_draw_as_one"

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        return torch.bernoulli(torch.full((n, *self.spec.shape), 0.5))


class Forgetful(Factorised):
    """Weighs its loss by how often that was called, which no checkpoint knows."""

    caught_by = "two_processes_go_on_where_they_were"
    calls = 0

    def loss(self, batch: Batch) -> Tensor:
        self.calls += 1
        return super().loss(batch) * self.calls


class Lonely(Factorised):
    """Cannot be trained by a second process."""

    caught_by = "it_trains_on_two_processes"

    def loss(self, batch: Batch) -> Tensor:
        if rank():
            raise ValueError("there is one of me")
        return super().loss(batch)


FAULTS = (LocalStatistics, ScoresByRank, DrawsAnything, Forgetful, Lonely)
