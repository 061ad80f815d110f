"""The metrics of a run, of its answers and of its samples, under one trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genlab.api import answers as answer_files
from genlab.api.metrics import build_metrics, of_answers, of_samples, possible, unasked
from genlab.api.quality import write_quality
from genlab.contracts import UsageError
from genlab.metrics import Answers, DatumMetric, SampleMetric, answer, how_many, measure
from genlab.rank import rank
from genlab.training import TrainerSettings
from genlab.trust import read_json

if TYPE_CHECKING:
    from genlab.api.run import Run


class Measurer:
    """Every process of the trainer must make one and call the same methods of it.

    seed: that of the answers' noise and of the samples. sampler: a component node.
    """

    def __init__(
        self, run: Run, settings: TrainerSettings, seed: int, sampler: Mapping[str, Any] | None
    ) -> None:
        self.run, self.settings, self.seed, self.sampler = run, settings, seed, sampler
        self.model = run.model_in(settings)

    def measure(
        self, asked: Mapping[str, Any] | None, split: str, n: int | None, everything: bool
    ) -> list[dict[str, Any]]:
        """What ``Run.measure`` returns."""
        nodes = possible(
            unasked(self.model) if asked is None else asked, self.model, everything=everything
        )
        if not nodes and not self.run.generative and (asked is None or everything):
            name = type(self.model).__name__
            raise UsageError(f"{name} has no likelihood and can have none of the metrics")
        asking: Any = build_metrics(of_answers(nodes), self.model, self.seed)
        comparing: Any = build_metrics(of_samples(nodes), self.model, self.seed)
        count = self._count(split, n, comparing) if comparing else 0
        found = [self._answer(metric, split) for metric in asking]
        if comparing:
            samples = self.run.drawn_together(count, self.seed, self.sampler, self.settings)
            if rank() == 0:
                found += self._quality(comparing, split, samples)
        return found if rank() == 0 else []

    def _count(self, split: str, n: int | None, metrics: Sequence[SampleMetric]) -> int:
        data = self.run.data
        data.prepare_data()
        data.setup("test")
        return how_many(data, split, n, metrics)

    def _answer(self, metric: DatumMetric, split: str) -> dict[str, Any]:
        question = answer_files.Question(split, metric, self.seed, self.settings.precision)
        results, data = self.run.results, self.run.data
        trainer, about = self.run.trainer_for(self.settings, data, split)

        def write(found: Answers) -> None:
            answer_files.write_answers(results, data, question, found, about())

        answer(metric, data, split, trainer, seed=self.seed, write=write)
        return read_json(question.file(results)) if rank() == 0 else {}

    def _quality(
        self, metrics: Sequence[SampleMetric], split: str, samples: Tensor
    ) -> list[dict[str, Any]]:
        results, data = self.run.results, self.run.data
        about = {"checkpoint": self.run.provenance}
        return [
            write_quality(results, data, split, measured, self.seed, about, self.sampler)
            for measured in measure(metrics, samples, data, split)
        ]
