"""A run directory, or an export of one, as an object: its model, its data, its scores, its samples."""

from __future__ import annotations

import copy
import shutil
import time
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from torch import Tensor

from genlab.api.display import Figures, Samples
from genlab.api.measurer import Measurer
from genlab.api.plan import build_model, require_room_for
from genlab.api.scorer import Scorer
from genlab.components import build, is_component
from genlab.contracts import DataModule, DataSpec, GenerativeModel, Model, UsageError
from genlab.memory import require_room_for_samples
from genlab.records import require_whole
from genlab.runs import RunDirectory, require_writable
from genlab.sampling import draw, on_device
from genlab.sketch import require_one
from genlab.sums import file_digest, require_listed
from genlab.training import TrainerSettings, averaged, is_lost, load_checkpoint, load_weights
from genlab.trust import read_json, require_plain
from genlab.trust.tensors import read_tensors


class Run:
    """A run directory, or an export of one, as an object: its model, its data, its scores.

    results: where scores are kept that are computed; by default in the run itself, and nowhere of an
    export, which nothing changes.
    """

    def __init__(
        self,
        directory: RunDirectory,
        *,
        results: Path | None = None,
        model: Model | None = None,
        data: DataModule | None = None,
    ) -> None:
        self.directory = directory
        self.record = directory.read()
        require_plain(directory.path)
        require_whole(self.record, directory.record)
        self._results = None if results is None else RunDirectory(results)
        self._model, self._data = model, data

    @property
    def path(self) -> Path:
        return self.directory.path

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.directory.read_config()

    @cached_property
    def spec(self) -> DataSpec:
        try:
            return DataSpec.of(self.record["spec"])
        except UsageError as error:
            raise UsageError(f"{self.directory.record}: {error}") from None

    @property
    def results(self) -> RunDirectory:
        """Where what is computed is kept."""
        if self._results is None:
            self._results = self.directory
            if self.directory.exported:
                temporary = mkdtemp(prefix="genlab-")
                weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
                self._results = RunDirectory(Path(temporary))
        return self._results

    def export(self, out: str | Path) -> Path:
        """Write what others need to use the model into a new folder, and return it: see ``api.export``."""
        from genlab.api.export import export

        return export(self, Path(out))

    def weights(self) -> dict[str, Tensor]:
        """By name, as evaluation and sampling use them: averaged where training averaged them.

        Raises UsageError where they are missing, altered, or anything but numbers.
        """
        if self.directory.exported:
            require_listed(self.path, self.directory.weights.name)
            return read_tensors(self.directory.weights)
        path = self.checkpoint
        checkpoint = load_checkpoint(path)
        if is_lost(path.with_name("best.ckpt"), checkpoint):
            raise UsageError(
                f"{path.parent} lacks best.ckpt, whose weights these are: genlab train … --resume "
                f"{self.path} trains that stage anew"
            )
        return checkpoint.get("state_dict", {})

    @property
    def model(self) -> Model:
        """The trained model in eval mode, with the final weights of the newest stage that has any."""
        if self._model is None:
            weights = self.weights()
            require_room_for(self.node("model"), self.spec)
            model = build_model(self.node("model"), self.spec, self.record["seed"])
            load_weights(model, {"state_dict": weights}, self.checkpoint)
            self._model = model.eval()
        return self._model

    @property
    def generative(self) -> bool:
        """Whether the model is a distribution of the data, with samples and a likelihood."""
        return isinstance(self.model, GenerativeModel)

    @property
    def data(self) -> DataModule:
        if self._data is None:
            self._data = build(self.node("data"), where="data")
        return self._data

    def node(self, key: str) -> dict[str, Any]:
        """A component of the configuration. Raises UsageError where there is none."""
        node = self.config.get(key)
        if not isinstance(node, dict) or not is_component(node):
            raise UsageError(f"{self.directory.config}: {key} is no component, as _target_: …")
        return node

    @property
    def checkpoint(self) -> Path:
        """The file with the run's final (or, unfinished, newest) weights.

        Raises UsageError where there is none yet.
        """
        if self.directory.exported:
            return self.directory.weights
        for stage in reversed(self.record["stages"]):
            for which in ("best", "last", "previous"):
                path = self.directory.checkpoint(stage, which)
                if path.is_file():
                    return path
        raise UsageError(f"{self.path} holds no checkpoint yet")

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Every score that was computed, oldest first."""
        files = sorted(self.directory.scores.glob("*.json"), key=lambda p: p.stat().st_mtime)
        return [read_json(p) for p in files]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The means of the metrics of the model's answers, oldest first."""
        files = sorted(self.directory.metrics.glob("*.json"), key=lambda p: p.stat().st_mtime)
        found = [read_json(p) for p in files]
        return [content for content in found if content.get("kind") == "answers"]

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
        return self.scorer(likelihood=likelihood, settings=settings, seed=seed).split(split)

    def scorer(
        self,
        *,
        likelihood: Mapping[str, Any] | None = None,
        settings: TrainerSettings | None = None,
        seed: int | None = None,
    ) -> Scorer:
        """What scores several splits and other data, computing once what they share; as ``evaluate``."""
        require_writable(self.results.path)
        noise: int = self.record["seed"] if seed is None else seed
        return Scorer(self, likelihood or self.node("likelihood"), settings or self.settings, noise)

    def measure(
        self,
        metrics: Mapping[str, Any] | None = None,
        split: str = "test",
        *,
        n: int | None = None,
        seed: int | None = None,
        settings: TrainerSettings | None = None,
        sampler: Mapping[str, Any] | None = None,
        everything: bool = False,
    ) -> list[dict[str, Any]]:
        """The model's answers about a split and its samples, by metrics; keep and return what they say.

        metrics: component nodes by name, as ``metric=all`` composes them; None for those of its answers
        that the model can have. everything: leave out those that it cannot have.
        Every process takes part in asking about a datum. The metrics of samples are all given the same n
        samples, those of ``seed`` (the run's own by default) and ``sampler``, beside n data of the split,
        drawn by all processes, and rank 0 alone computes them. Other ranks return [].
        Raises UsageError for a metric that the model cannot have, and where n is too large or too small
        for the data or a metric.
        """
        require_writable(self.results.path)
        noise: int = self.record["seed"] if seed is None else seed
        measurer = Measurer(self, settings or self.settings, noise, sampler)
        return measurer.measure(metrics, split, n, everything)

    def drawn_together(
        self, n: int, seed: int, sampler: Mapping[str, Any] | None, settings: TrainerSettings
    ) -> Tensor:
        """What ``sample`` draws, on the device of the settings, shared out among their processes."""
        settings.unsharded().connect()
        model, other = require_generative(self.model, "samples"), _sampler(sampler)
        with on_device(model, settings.device):
            return draw(model, n, seed=seed, sampler=other, together=True)

    @property
    def settings(self) -> TrainerSettings:
        """The run's own as far as they can be had here: torchrun and SLURM started it then, and not
        necessarily what looks at it now."""
        node = dict(self.node("trainer"))
        if node.get("launcher", "genlab") != "genlab":
            for key in ("launcher", "strategy", "devices", "num_nodes"):
                node.pop(key, None)
        return build(node, where="trainer").possible()

    def model_in(self, settings: TrainerSettings) -> Model:
        """The model, or a copy where Lightning casts the weights themselves, and they stay so."""
        cast = settings.precision.endswith("-true") and settings.precision != "32-true"
        return copy.deepcopy(self.model) if cast else self.model

    def generative_in(self, settings: TrainerSettings) -> GenerativeModel:
        """The model for such a trainer. Raises UsageError where it has no likelihood."""
        return require_generative(self.model_in(settings), "likelihood")

    def trainer_for(
        self, settings: TrainerSettings, data: DataModule, split: str
    ) -> tuple[Any, Callable[[], dict[str, Any]]]:
        """A trainer for a pass over a split, and what a file says of that, called at its end.

        Raises UsageError where processes read different data.
        """
        settings.connect()
        require_one(data, (split,))
        trainer, start = settings.unsharded().trainer([]), time.monotonic()

        def about() -> dict[str, Any]:
            return {
                "checkpoint": self.provenance,
                "world_size": trainer.world_size,
                "device": trainer.strategy.root_device.type,
                "seconds": round(time.monotonic() - start, 2),
            }

        return trainer, about

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Which weights a number was computed with."""
        if self.directory.exported:
            return dict(self.record["export"]["checkpoint"])
        content = load_checkpoint(self.checkpoint)
        return {
            "path": str(self.checkpoint.relative_to(self.path)),
            "sha256": file_digest(self.checkpoint),
            "stage": self.checkpoint.parent.name,
            "weights": "ema" if averaged(content) else "raw",
        }

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        label: int | None = None,
        sampler: Mapping[str, Any] | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """(n, *shape) draws, on the CPU. The first m of n are the same for every n.

        They are drawn by this process alone, on a GPU where the run's trainer finds one.
        sampler: a component node; None is the model's own sampler, which its likelihood describes.
        guidance: how much of a label's influence is taken; 1 is what was learned.
        """
        if n < 1 or seed < 0:
            raise UsageError(f"--n {n} must be at least 1 and --seed {seed} at least 0")
        require_label(self.spec, label)
        model = require_generative(self.model, "samples")
        require_room_for_samples(n, self.spec.size)
        ways = {"label": label, "sampler": _sampler(sampler), "guidance": guidance}
        with on_device(model, self.settings.device):
            return draw(model, n, seed=seed, **ways).cpu()

    def samples(self, n: int = 64, *, seed: int = 0, **ways: Any) -> Samples:
        """What ``sample`` draws, as a picture in a notebook. ways: the other arguments of ``sample``."""
        return Samples(self.sample(n, seed=seed, **ways), self.spec)

    def figures(self, seed: int = 0) -> Figures:
        """The model's own figures, for a notebook; they need the run's data."""
        from genlab.api.show import figures

        return Figures(figures(self, seed))


def _sampler(node: Mapping[str, Any] | None) -> Any:
    return None if node is None else build(node, where="sampler")


def require_label(spec: DataSpec, label: int | None) -> None:
    """Raise UsageError for a label that the data do not have."""
    if label is not None and not 0 <= label < spec.classes:
        raise UsageError(f"--label {label}: {spec.name} has {spec.classes} classes")


def require_generative(model: Model, what: str) -> GenerativeModel:
    """The model. Raises UsageError where it is no distribution of the data."""
    if not isinstance(model, GenerativeModel):
        raise UsageError(f"{type(model).__name__} is no generative model: it has no {what}")
    return model
