"""Score files: a number with everything that is needed to believe it. No NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genlab.api.signature import signed
from genlab.api.values import write_values
from genlab.blocks import BLOCK
from genlab.contracts import DataModule, Likelihood, Measure
from genlab.likelihood.floor import independent_floor
from genlab.likelihood.scoring import Scored
from genlab.runs import RunDirectory, digest, write_json


@dataclass(frozen=True)
class Question:
    """What was asked of a run: which split, by which likelihood, with which seed, in which precision."""

    split: str
    likelihood: Likelihood
    seed: int
    precision: str

    @property
    def settings(self) -> dict[str, Any]:
        of = self.likelihood
        noise = {"seed": self.seed, "block": BLOCK}
        return {"name": of.name, "parameters": of.settings, **noise, "precision": self.precision}

    def file(self, run: RunDirectory) -> Path:
        key = digest(self.settings)[:8]
        return run.scores / f"{self.split}-{self.likelihood.name}-{key}.json"


def write_score(
    run: RunDirectory,
    data: DataModule,
    question: Question,
    scored: Scored,
    about: Mapping[str, Any],
) -> None:
    """The score as JSON and, beside it, every per-example value as .npz.

    about: checkpoint, world_size, device, seconds.
    """
    spec = data.spec
    path = question.file(run)
    each = {k: v for k, v in scored.diagnostics.items() if isinstance(v, np.ndarray)}
    values = {"nats": scored.nats} | {f"diagnostic {k}": v for k, v in each.items()}
    score = {
        "likelihood": question.settings,
        "nats": scored.summary(spec.log_scale),
        "bits_per_dim": scored.bits_per_dim(spec.size),
        "floor": _floor(data, question.split, scored),
        **write_values(path, values),
        **about,
    }
    write_json(path, signed(data, question.split, len(scored.nats), score))


def _floor(data: DataModule, split: str, scored: Scored) -> dict[str, Any] | None:
    """The independent model's number; None beside a density of discrete data, of which it has a mass."""
    if scored.result.measure is not Measure.of(data.spec):
        return None
    method = "independent entries with the training data's marginals"
    return {"nats": independent_floor(data, split), "method": method}
