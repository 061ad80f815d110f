"""A run directory as an object: its model, its data, its scores, its samples."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from genlab.api.plan import build_model
from genlab.api.quality import build_metrics, write_quality
from genlab.api.scores import Question, write_score
from genlab.components import build
from genlab.contracts import DataModule, DataSpec, GenerativeModel, Likelihood, UsageError
from genlab.launch import rank
from genlab.likelihood import evaluate
from genlab.likelihood.scoring import Scored
from genlab.metrics import how_many, measure
from genlab.runs import RunDirectory, file_digest
from genlab.sampling import draw
from genlab.training import TrainerSettings, load_checkpoint, load_weights


class Run:
    """A run directory as an object: its model, its data, its scores."""

    def __init__(
        self,
        directory: RunDirectory,
        *,
        model: GenerativeModel | None = None,
        data: DataModule | None = None,
    ) -> None:
        self.directory = directory
        self.record = directory.read()
        self._model, self._data = model, data

    @property
    def path(self) -> Path:
        return self.directory.path

    @cached_property
    def config(self) -> dict[str, Any]:
        try:
            return yaml.safe_load(self.directory.config.read_text())
        except yaml.YAMLError as error:
            where = " ".join(str(error).split())
            raise UsageError(f"{self.directory.config} is not YAML: {where}") from None

    @cached_property
    def spec(self) -> DataSpec:
        return DataSpec(**self.record["spec"])

    @property
    def model(self) -> GenerativeModel:
        """The trained model in eval mode, with the final weights of the newest stage that has any."""
        if self._model is None:
            model = build_model(self.config["model"], self.spec, self.record["seed"])
            path = self.checkpoint
            load_weights(model, load_checkpoint(path), path)
            self._model = model.eval()
        return self._model

    @property
    def data(self) -> DataModule:
        if self._data is None:
            self._data = build(self.config["data"], where="data")
        return self._data

    @property
    def checkpoint(self) -> Path:
        """The file with the run's final (or, unfinished, newest) weights.

        Raises UsageError where there is none yet.
        """
        for stage in reversed(self.record["stages"]):
            for which in ("best", "last"):
                path = self.directory.checkpoint(stage, which)
                if path.is_file():
                    return path
        raise UsageError(f"{self.path} holds no checkpoint yet")

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Every score that was computed, oldest first."""
        files = sorted(self.directory.scores.glob("*.json"), key=lambda p: p.stat().st_mtime)
        return [json.loads(p.read_text()) for p in files]

    def evaluate(
        self,
        split: str = "test",
        *,
        likelihood: Mapping[str, Any] | None = None,
        settings: TrainerSettings | None = None,
        seed: int | None = None,
    ) -> dict[str, Any] | None:
        """Score a split and keep the result under ``scores/``; the score on rank 0, None elsewhere.

        likelihood: a component node; the run's own by default.
        """
        node = dict(likelihood or self.config["likelihood"])
        chosen: TrainerSettings = settings or build(self.config["trainer"], where="trainer")
        # Lightning casts the weights themselves to these, and they stay so
        cast = chosen.precision.endswith("-true") and chosen.precision != "32-true"
        model = copy.deepcopy(self.model) if cast else self.model
        estimator: Likelihood = build(node, model, where="likelihood")
        noise: int = self.record["seed"] if seed is None else seed
        question = Question(split, estimator, noise, chosen.precision)
        start = time.monotonic()

        def write(scored: Scored) -> None:
            seconds = round(time.monotonic() - start, 2)
            about = {
                "checkpoint": self._provenance,
                "world_size": trainer.world_size,
                "device": trainer.strategy.root_device.type,
                "seconds": seconds,
            }
            write_score(self.directory, self.data, question, scored, about)

        trainer = chosen.trainer([])
        evaluate(model, estimator, self.data, split, trainer, seed=noise, write=write)
        if rank() != 0:
            return None
        return json.loads(question.file(self.directory).read_text())

    def measure(
        self,
        metrics: Mapping[str, Any],
        split: str = "test",
        *,
        n: int | None = None,
        seed: int | None = None,
    ) -> list[dict[str, Any]]:
        """Compare n samples with n data of a split by several metrics; keep and return what they say.

        metrics: component nodes by name, as ``metric=all`` composes them. All of them are given the same
        samples, those of ``seed`` (the run's own by default). Rank 0 alone works; the others return [].
        Raises UsageError where n is too large or too small for the data or a metric.
        """
        if rank() != 0:
            return []
        noise: int = self.record["seed"] if seed is None else seed
        chosen = build_metrics(metrics, noise)
        self.data.prepare_data()
        self.data.setup("test")
        count = how_many(self.data, split, n, chosen)
        samples = self.sample(count, seed=noise)
        about = {"checkpoint": self._provenance}
        return [
            write_quality(self.directory, self.data, split, measured, noise, about)
            for measured in measure(chosen, samples, self.data, split)
        ]

    @cached_property
    def _provenance(self) -> dict[str, Any]:
        """Which weights a number was computed with."""
        content = load_checkpoint(self.checkpoint)
        return {
            "path": str(self.checkpoint.relative_to(self.path)),
            "sha256": file_digest(self.checkpoint),
            "stage": self.checkpoint.parent.name,
            "weights": "ema" if "current_model_state" in content else "raw",
        }

    def sample(self, n: int, *, seed: int = 0, label: int | None = None) -> Tensor:
        """(n, *shape) draws. The first m of n are the same for every n."""
        if n < 1 or seed < 0:
            raise UsageError(f"--n {n} must be at least 1 and --seed {seed} at least 0")
        if label is not None and not 0 <= label < self.spec.classes:
            raise UsageError(f"--label {label}: {self.spec.name} has {self.spec.classes} classes")
        return draw(self.model, n, seed=seed, label=label)
