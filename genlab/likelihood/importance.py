"""Importance weighting: log p(x) ≥ E[log 1/K Σ_k w_k] for weights w with mean p(x).

The bound rises with K and reaches log p(x) (Yuri Burda, Roger Grosse, Ruslan Salakhutdinov: Importance
Weighted Autoencoders. ICLR 2016, https://arxiv.org/abs/1509.00519).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    GenerativeModel,
    Guarantee,
    HasImportanceWeights,
    Likelihood,
    LogLikelihood,
    Measure,
)
from genlab.likelihood.needs import require
from genlab.memory import must_fit
from genlab.ranges import at_least


class ImportanceWeighted(Likelihood):
    """log 1/K Σ w over K importance weights: a lower bound in expectation.

    k: weights of each datum. chunk: how many are drawn at a time, which decides the noise.
    """

    name = "iwae"

    def __init__(self, model: GenerativeModel, k: int = 1000, chunk: int = 50) -> None:
        require(self.name, model)
        super().__init__(model)
        at_least(1, k=k, chunk=chunk)
        self.k, self.chunk = k, chunk

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k, "chunk": self.chunk}

    @torch.no_grad()
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """diagnostics: elbo, the mean of log w; ess, the effective part of the K weights, in (0, 1]."""
        model = self.model
        assert isinstance(model, HasImportanceWeights)
        average = average_weights(
            lambda n: model.log_weights(x, n, label=label, generator=generator),
            self.k,
            self.chunk,
            lower="likelihood.chunk",
        )
        return LogLikelihood(
            average.log_mean,
            Guarantee.LOWER_BOUND,
            Measure.of(model.spec),
            method=f"IWAE, K = {self.k}"
            + (f"; proposal: {model.proposal}" if model.proposal else ""),
            given="" if label is None else "label",
            diagnostics={"elbo": average.mean_log, "ess": average.ess},
        )


class Average(NamedTuple):
    """Of K weights of each datum, float64 (B,): log 1/K Σ w; 1/K Σ log w; (Σ w)² / (K Σ w²)."""

    log_mean: Tensor
    mean_log: Tensor
    ess: Tensor


def average_weights(draw: Callable[[int], Tensor], k: int, chunk: int, *, lower: str) -> Average:
    """Of k weights, drawn at most ``chunk`` at a time; only running sums are kept.

    draw(n): (n, B) log-weights. lower: the setting to name where a chunk does not fit into memory.
    """
    sums: list[Tensor] = []
    for first in range(0, k, chunk):
        n = min(chunk, k - first)
        with must_fit(f"{n} draws of each datum at a time", lower):
            log_w = draw(n).double()
        new = [log_w.logsumexp(0), (2 * log_w).logsumexp(0), log_w.sum(0)]
        sums = [*map(torch.logaddexp, sums[:2], new[:2]), sums[2] + new[2]] if sums else new
    log_sum, log_squares, sum_of_logs = sums
    ess = (2 * log_sum - log_squares - math.log(k)).exp()
    return Average(log_sum - math.log(k), sum_of_logs / k, ess)
