"""Scores of a split: a likelihood's number for every datum, and what may be said of their mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from genlab.blocks import Answer, BlockPass
from genlab.contracts import Batch, DataModule, GenerativeModel, Likelihood, LogLikelihood, Measure
from genlab.means import not_finite, standard_error
from genlab.randomness import generator


@dataclass(frozen=True)
class Scored:
    """Every per-example value of a split, in the order of its rows.

    nats: (n,) float64. diagnostics: arrays (n, …) or numbers. result: guarantee, measure, method, …
    """

    nats: np.ndarray
    diagnostics: dict[str, Any]
    result: LogLikelihood

    def summary(self, log_scale: float = 0.0) -> dict[str, Any]:
        """The ``nats`` entry of a score file. A mean that cannot be trusted is None, with a reason.

        log_scale: Σ log σ_d of standardised data.
        """
        reason = self.reason
        mean = None if reason else float(self.nats.mean())
        summary = {
            "mean": mean,
            "stderr": None if reason else standard_error(self.nats),
            "reason": reason,
            "shared": self.result.shared if _finite(self.result.shared) else None,
            "bracket": self._bracket(),
            "guarantee": str(self.result.guarantee),
            "measure": str(self.result.measure),
            "given": self.result.given,
            "method": self.result.method,
            "diagnostics": {k: _plain(v) for k, v in self.diagnostics.items()},
        }
        if log_scale and mean is not None:
            summary["mean_on_original_scale"] = mean - log_scale
        return summary

    def _bracket(self) -> dict[str, Any] | None:
        bracket = self.result.bracket
        finite = bracket is not None and _finite((bracket.low, bracket.high))
        return asdict(bracket) if bracket is not None and finite else None

    def bits_per_dim(self, size: int) -> float | None:
        """−nats / (D ln 2), for probability masses only."""
        if self.reason or self.result.measure is not Measure.MASS:
            return None
        return float(-self.nats.mean() / (size * math.log(2)))

    @property
    def reason(self) -> str | None:
        """Why a mean of the values cannot be given; None where it can."""
        problem = f"not converged: {self.result.problem}" if self.result.problem else None
        return not_finite(self.nats) or problem


def _finite(ends: tuple[float, float] | None) -> bool:
    return ends is not None and all(map(math.isfinite, ends))


def _plain(value: Any) -> Any:
    """A diagnostic as JSON: arrays by their mean over the data."""
    if isinstance(value, np.ndarray):
        value = value.mean(0).tolist()
    numbers = value if isinstance(value, list) else [value]
    finite = all(not isinstance(v, float) or math.isfinite(v) for v in numbers)
    return value if finite else None


def evaluate(
    model: GenerativeModel,
    likelihood: Likelihood,
    data: DataModule,
    split: str,
    trainer: Any,
    seed: int,
    write: Callable[[Scored], None],
    *,
    prepared: bool = False,
) -> None:
    """Score a split; ``write`` is called once, on rank 0, with every value.

    prepared: whether the likelihood has been, by another split with the same seed.
    """
    _Scoring(model, likelihood, data, split, seed, write, prepared).by(trainer)


class _Scoring(BlockPass):
    """Runs a likelihood over blocks."""

    def __init__(
        self,
        model: GenerativeModel,
        likelihood: Likelihood,
        data: DataModule,
        split: str,
        seed: int,
        write: Callable[[Scored], None],
        prepared: bool,
    ) -> None:
        super().__init__(data, split, ("evaluate", seed, split))
        self.model, self.likelihood = model, likelihood
        self.seed, self.write, self.prepared = seed, write, prepared

    def prepare(self) -> None:
        """All processes prepare the likelihood together; rank 0's buffers are those of all."""
        if self.prepared:
            return
        noise = generator("prepare", self.seed, device=self.device)
        self.likelihood.prepare(self.data, generator=noise)
        if self.trainer.world_size > 1:
            own = {n: b.cpu() for n, b in self.likelihood.named_buffers(recurse=False)}
            for name, tensor in self.trainer.strategy.broadcast(own).items():
                self.likelihood.register_buffer(name, tensor.to(self.device))

    def answer(self, batch: Batch, noise: Generator) -> Answer:
        result = self.likelihood(batch.x, generator=noise)
        each = {k: v for k, v in result.diagnostics.items() if isinstance(v, Tensor)}
        common = {k: v for k, v in result.diagnostics.items() if k not in each}
        about = replace(result, nats=torch.empty(0), diagnostics=common)
        return Answer({"nats": result.nats} | {f"{EACH}{k}": v for k, v in each.items()}, about)

    def finish(self, values: dict[str, np.ndarray], abouts: list[LogLikelihood]) -> None:
        each = {k.removeprefix(EACH): v for k, v in values.items() if k.startswith(EACH)}
        doubtful = [about for about in abouts if about.problem]
        diagnostics = each | abouts[0].diagnostics
        self.write(Scored(values["nats"], diagnostics, (doubtful or abouts)[0]))


EACH = "diagnostic "  # begins the name of a diagnostic that each datum has
