"""Score files: a number with everything that is needed to believe it. Schema 1, no NaN."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genlab.contracts import DataSpec
from genlab.likelihood.scoring import BLOCK, Scored
from genlab.runs import RunDirectory, atomic, digest, now, versions, write_json


@dataclass(frozen=True)
class Question:
    """What was asked of a run: which split, by which likelihood (a component node), with which seed."""

    split: str
    likelihood: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        return self.likelihood["_target_"].rpartition(".")[2]

    @property
    def settings(self) -> dict[str, Any]:
        parameters = {k: v for k, v in self.likelihood.items() if k != "_target_"}
        return {"name": self.name, "parameters": parameters, "seed": self.seed, "block": BLOCK}

    def file(self, run: RunDirectory) -> Path:
        key = digest(self.settings)[:8]
        return run.scores / f"{self.split}-{self.name.lower()}-{key}.json"


def write_score(
    run: RunDirectory,
    spec: DataSpec,
    question: Question,
    scored: Scored,
    floor: float,
    about: Mapping[str, Any],
) -> None:
    """The score as JSON and, beside it, every per-example value as .npz.

    floor: nats per datum of the independent model. about: checkpoint, world_size, seconds.
    """
    score = {
        "schema": 1,
        "data": {
            "name": spec.name,
            "variant": spec.variant,
            "split": question.split,
            "n": len(scored.nats),
            "spec": dataclasses.asdict(spec),
        },
        "likelihood": question.settings,
        "nats": scored.summary(spec.log_scale),
        "bits_per_dim": scored.bits_per_dim(spec.size),
        "floor": {
            "nats": floor,
            "method": "independent entries with the training data's marginals",
        },
        **about,
        "versions": versions(),
        "created": now(),
    }
    path = question.file(run)
    arrays = {k: v for k, v in scored.diagnostics.items() if isinstance(v, np.ndarray)}
    with atomic(path.with_suffix(".npz")) as file:
        named = {f"diagnostic {k}": v for k, v in arrays.items()}
        np.savez_compressed(file, nats=scored.nats, **named)  # type: ignore[arg-type]
    write_json(path, score)
