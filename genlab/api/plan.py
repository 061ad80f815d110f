"""A checked configuration and the objects it describes, before anything is written."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genlab import randomness
from genlab.api.metrics import (
    build_metrics,
    check_metrics,
    of_answers,
    of_samples,
    possible,
    unasked,
)
from genlab.components import build, check, coerce, is_component
from genlab.config import REQUIRED, compose
from genlab.contracts import (
    DataModule,
    DataSpec,
    GenerativeModel,
    Model,
    Stage,
    Trainable,
    UnsupportedData,
    UsageError,
)
from genlab.memory import available
from genlab.metrics import how_many
from genlab.options import options
from genlab.runs import digest
from genlab.sampling import require_ways
from genlab.targets import resolve
from genlab.training import TrainerSettings, resolve_stages

SPLITS = ("train", "val", "test")
TYPES = {
    "folder": str,
    "name": str | None,
    "gallery": bool,
    "stages": dict,
    "samples": int | None,
    "metric": dict | None,
    "callbacks": dict | None,
}


class Plan:
    """A checked configuration and the objects it describes, before anything is written."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.composed = compose(words)
        config = self.composed.resolved
        for key, hint in TYPES.items():
            coerce(config.get(key), hint, key)
        if not config["folder"]:
            raise UsageError("folder= names none: give one, as folder=runs")
        if "/" in (config.get("name") or ""):
            raise UsageError(f"name={config['name']}: a part of a folder's name has no /")
        self.seed = seed_of(config)
        self.splits = _splits(config.get("evaluate"))
        for key in (
            "model",
            "trainer",
            "data",
            "likelihood",
            "metric",
            "optimizer",
            "sampler",
            "callbacks",
            "logger",
        ):
            _check_node(key, config.get(key))
        self.settings: TrainerSettings = build(config["trainer"], where="trainer")
        node = config.get("logger")
        self.logger = None if node is None else build(node, where="logger")
        self.data: DataModule = build(config["data"], where="data")
        self.model = build_model(config["model"], self.data.spec, self.seed)
        self.stages = self._stages(config)
        self.settings.require_precision(self.model)
        self.settings.require_stages(self.stages)
        self._check_likelihood(config)
        asked, everything = config.get("metric") or {}, self.composed.choices["metric"] == "all"
        self.metrics = possible(asked, self.model, everything=everything)
        build_metrics(of_answers(self.metrics), self.model, self.seed)
        self._check_samples()
        self._check_sampler(config.get("sampler"))

    def _stages(self, config: Mapping[str, Any]) -> list[Stage]:
        node = config.get("optimizer")
        optimizer = None if node is None else build(node, where="optimizer")
        return resolve_stages(self.model, config.get("stages") or {}, optimizer)

    def read_data(self) -> None:
        """Read what will be trained on and scored. Raises DataError for a missing or broken file, and
        UsageError for fewer data than processes.
        """
        self.data.prepare_data()
        self.data.setup("test")
        for split in ("train", "val"):
            self.data.require_enough(split, self.settings.processes)
        for split in dict.fromkeys(["train", *self.splits]):
            self.data.dataset(split)

    def _check_likelihood(self, config: Mapping[str, Any]) -> None:
        if self.generative and self.splits:
            build(config["likelihood"], self.model, where="likelihood")
        given = {word.lstrip("+~").split("=")[0].split(".")[0] for word in self.words}
        if not self.generative and (
            "likelihood" in given or self.composed.choices["likelihood"] != "auto"
        ):
            name = type(self.model).__name__
            raise UsageError(
                f"likelihood=…: {name} is no generative model, so that it has no likelihood: leave it out"
            )

    def _check_samples(self) -> None:
        """Raise UsageError where there cannot be so many samples; the only reason to read data here."""
        metrics: Any = build_metrics(self.quality, self.model, self.seed)
        if not metrics:
            return
        self.data.prepare_data()
        self.data.setup("test")
        for split in self.splits:
            if split != "train":
                how_many(self.data, split, self.samples, metrics)

    def _check_sampler(self, node: Mapping[str, Any] | None) -> None:
        """Raise UsageError for one that does not draw what a metric compares, or cannot."""
        if node is None:
            return
        if not self.quality:
            raise UsageError("sampler=… is for metric=…: name one, or metric=all")
        build(node, where="sampler")
        require_ways(self.model, "sampler=…")

    @property
    def generative(self) -> bool:
        """Whether the model is a distribution of the data, with samples and a likelihood."""
        return isinstance(self.model, GenerativeModel)

    @property
    def validates(self) -> bool:
        """Whether the last stage is judged by anything, so that settings can be chosen by it."""
        own = type(self.model).validate is not Trainable.validate
        return own or self.stages[-1].validate is not None

    @property
    def samples(self) -> int | None:
        """How many samples metrics compare; None for as many as there are data."""
        return self.composed.resolved.get("samples")

    @property
    def answers(self) -> dict[str, Any]:
        """The metrics of the model's answers to compute after training: all it can have, as asked for."""
        return unasked(self.model) | of_answers(self.metrics)

    @property
    def quality(self) -> dict[str, Any]:
        """The metrics of sample quality to compute after training."""
        return of_samples(self.metrics)

    @property
    def fingerprint(self) -> str:
        """What decides the weights, as a hash."""
        return digest(self.composed.identity)

    @property
    def parameters(self) -> int:
        """How many numbers the model learns."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def about_model(self) -> dict[str, Any]:
        """What a run record says of the model."""
        return {
            "stages": [stage.name for stage in self.stages],
            "losses": {stage.name: stage.about for stage in self.stages if stage.about},
            "summary": self._summary,
            "parameters": self.parameters,
            "generative": self.generative,
        }

    @property
    def _summary(self) -> str:
        """What the model is, in one line: the first one of what its own package says of it."""
        target = resolve(self.composed.resolved["model"]["_target_"], "model")
        return (inspect.getdoc(target) or "").partition("\n")[0]

    @property
    def name(self) -> str:
        given = self.composed.resolved.get("name")
        data = self.data.spec.name.replace("/", "-")
        return given or f"{type(self.model).__name__.lower()}-{data}"


def build_model(node: Mapping[str, Any], spec: DataSpec, seed: int) -> Model:
    """The model of a configuration for these data, its first weights a function of seed alone.

    Raises UsageError with the data that would do where the model cannot take these.
    """
    try:
        with randomness.scope("parameters", seed):
            return build(node, spec, where="model")
    except UnsupportedData as error:
        raise UnsupportedData(f"{error}; try {_alternatives(node)}") from None


def require_room_for(node: Mapping[str, Any], spec: DataSpec) -> None:
    """Raise UsageError where a model would not fit into memory. It is built without any, as far as it can
    be, so that a file of a few bytes takes none.
    """
    try:
        with torch.device("meta"):
            empty = build(node, spec, where="model")
    except (RuntimeError, TypeError, UnsupportedData):  # its first weights follow from numbers
        return
    size = sum(t.numel() * t.element_size() for t in (*empty.parameters(), *empty.buffers()))
    if size > (room := available(torch.device("cpu"))):
        raise UsageError(
            f"the model takes {size / 2**30:,.1f} GiB, and {room / 2**30:,.1f} GiB are free"
        )


def _alternatives(node: Mapping[str, Any]) -> str:
    """Data configurations that this model can be built for, tried without memory for its weights."""
    found = []
    for option in options("data"):
        try:
            spec = build(compose([f"data={option.name}"]).resolved["data"], where="data").spec
            with torch.device("meta"):
                build(node, spec, where="model")
        except (UsageError, RuntimeError, TypeError):  # or its first weights follow from numbers
            continue
        found.append(option.name)
    return f"data=NAME, NAME one of {', '.join(found)}" if found else "another model"


def _check_node(key: str, node: Any) -> None:
    if key in REQUIRED and not is_component(node):
        raise UsageError(f"{key}={node}: expected a component, as {key}._target_=…")
    if key in ("model", "likelihood"):
        check(node, key, given=1)
    elif key == "metric":
        check_metrics(node or {})
    elif key == "callbacks":
        _check_callbacks(node or {})
    else:
        check(node, key)


def _check_callbacks(nodes: Mapping[str, Any]) -> None:
    for key, node in nodes.items():
        if not is_component(node):
            raise UsageError(
                f"callbacks.{key}={node}: expected a component, as callbacks.{key}._target_=…"
            )
        check(node, f"callbacks.{key}")


def seed_of(config: Mapping[str, Any]) -> int:
    """Raises UsageError for what is none."""
    seed = config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"seed={seed}: expected a whole number, 0 or greater")
    return seed


def _splits(given: Any) -> list[str]:
    splits = given or [] if isinstance(given, list | None) else [given]
    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"evaluate={split}: expected some of {', '.join(SPLITS)}, or []")
    return splits
