"""Files of a model's answers: a metric's numbers, their floor and every value. No NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.api.signature import signed
from genlab.api.values import write_values
from genlab.blocks import BLOCK
from genlab.contracts import DataModule
from genlab.metrics import Answers, DatumMetric
from genlab.runs import RunDirectory, digest, write_json


@dataclass(frozen=True)
class Question:
    """What was asked of a run: which split, by which metric, with which seed, in which precision."""

    split: str
    metric: DatumMetric
    seed: int
    precision: str

    @property
    def settings(self) -> dict[str, Any]:
        of = self.metric
        about = {"name": of.name, "parameters": of.settings, "shown": list(of.shown)}
        return about | {"seed": self.seed, "block": BLOCK, "precision": self.precision}

    def file(self, run: RunDirectory) -> Path:
        return run.metrics / f"{self.split}-{self.metric.name}-{digest(self.settings)[:8]}.json"


def write_answers(
    run: RunDirectory,
    data: DataModule,
    question: Question,
    answers: Answers,
    about: Mapping[str, Any],
) -> None:
    """The means as JSON and, beside it, every per-example value as .npz.

    about: checkpoint, world_size, device, seconds.
    """
    floor = question.metric.floor(data, question.split)
    path = question.file(run)
    content = {
        "kind": "answers",
        "metric": question.settings,
        "values": answers.summary(),
        "floor": {"of": floor.of, "values": floor.values},
        "facts": answers.facts,
        **write_values(path, answers.values),
        **about,
    }
    n = len(data.dataset(question.split))
    write_json(path, signed(data, question.split, n, content))
