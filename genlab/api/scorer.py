"""The scores of a run by one likelihood, under one trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genlab.api.scores import Question, write_score
from genlab.components import build
from genlab.contracts import BatchSource, DataModule, DataSpec, Likelihood, Rows
from genlab.likelihood import evaluate
from genlab.likelihood.scoring import Scored
from genlab.rank import rank
from genlab.training import TrainerSettings
from genlab.trust import read_json

if TYPE_CHECKING:
    from genlab.api.run import Run


class Scorer:
    """What all data share (log Z, widths) is computed once, by whatever is scored first.

    Every process of the trainer must make one and call the same methods of it. In a precision that casts
    weights it is computed for each, as Lightning would cast it too.
    Raises UsageError for a likelihood that the model cannot have.
    """

    def __init__(
        self, run: Run, node: Mapping[str, Any], settings: TrainerSettings, seed: int
    ) -> None:
        self.run, self.settings, self.seed = run, settings, seed
        self.model = run.generative_in(settings)
        self.likelihood: Likelihood = build(dict(node), self.model, where="likelihood")
        self.scored: dict[str, Scored | None] = {}  # splits, on rank 0
        self._prepared = False

    def split(self, name: str) -> dict[str, Any] | None:
        """Score a split and keep the result under ``scores/``; the score on rank 0, None elsewhere."""
        question = Question(name, self.likelihood, self.seed, self.settings.precision)
        results, data = self.run.results, self.run.data

        def write(scored: Scored, about: Mapping[str, Any]) -> None:
            self.scored[name] = scored
            write_score(results, data, question, scored, about)

        self.scored[name] = None
        self._evaluate(data, name, write)
        return read_json(question.file(results)) if rank() == 0 else None

    def given(self, what: str, x: Tensor) -> Scored | None:
        """Score data x: (n, *shape), called so and not like a split; on rank 0, None elsewhere."""
        found: list[Scored] = []
        data = _Given(self.run.data, what, x)
        self._evaluate(data, what, lambda scored, about: found.append(scored))
        return found[0] if found else None

    def _evaluate(
        self, data: DataModule, split: str, write: Callable[[Scored, dict[str, Any]], None]
    ) -> None:
        trainer, about = self.run.trainer_for(self.settings, data, split)
        evaluate(
            self.model,
            self.likelihood,
            data,
            split,
            trainer,
            self.seed,
            lambda scored: write(scored, about()),
            prepared=self._prepared,
        )
        self._prepared = self.model is self.run.model and not self.settings.forks


class _Given(DataModule):
    """A run's data and, as one more split, data that are given."""

    def __init__(self, data: DataModule, what: str, x: Tensor) -> None:
        super().__init__(data.batch_size)
        self.data, self.what, self.x = data, what, x

    @property
    def spec(self) -> DataSpec:
        return self.data.spec

    def prepare_data(self) -> None:
        self.data.prepare_data()

    def setup(self, stage: str) -> None:
        self.data.setup(stage)

    def dataset(self, split: str) -> BatchSource:
        return Rows(self.x) if split == self.what else self.data.dataset(split)
