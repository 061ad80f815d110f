"""genlab in Python: ``train`` makes a run, ``open`` opens one."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from genlab import randomness
from genlab.components import build, check
from genlab.config import Composed, compose
from genlab.contracts import (
    DataModule,
    DataSpec,
    GenerativeModel,
    Likelihood,
    Stage,
    UnsupportedData,
    UsageError,
)
from genlab.launch import rank, shared_run
from genlab.likelihood import evaluate
from genlab.likelihood.floor import independent_floor
from genlab.likelihood.scoring import BLOCK, Scored
from genlab.plugins import options, plugins
from genlab.progress import progress
from genlab.runs import (
    RunDirectory,
    atomic,
    create,
    digest,
    environment,
    file_digest,
    now,
    unfinished,
    write_json,
    write_text,
)
from genlab.training import (
    TrainerSettings,
    fit,
    load_checkpoint,
    load_weights,
    resolve_stages,
)

SPLITS = ("train", "val", "test")


def train(*overrides: str, resume: str | None = None) -> Run:
    """Train, score and sample a model: ``train("model=made", "data=digits", "seed=1")``.

    resume: None for a new run, "auto" for the newest unfinished run of the same settings (a new one
    where there is none), or the path of a run.
    Raises UsageError for anything wrong with the words, before a file is written.
    """
    plan = Plan(compose(list(overrides)))
    words = list(overrides)
    with shared_run(lambda: _choose(plan, words, resume)) as directory:
        return _Session(plan, directory).carry_out()


def open(path: str | Path) -> Run:
    """The run in a directory. Its data are not needed until they are asked for."""
    return Run(RunDirectory(Path(path)))


class Plan:
    """A checked configuration and the objects it describes, before anything is written."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        config = composed.resolved
        self.seed = _seed(config)
        self.splits = _splits(config.get("evaluate"))
        for key in ("model", "trainer", "data", "likelihood", "optimizer", "callbacks", "logger"):
            _check_node(key, config.get(key))
        self.settings: TrainerSettings = build(config["trainer"], where="trainer")
        self.data: DataModule = build(config["data"], where="data")
        self.model = build_model(config["model"], self.data.spec, self.seed)
        self.stages = self._stages(config)
        if self.splits:
            build(config["likelihood"], self.model, where="likelihood")

    def _stages(self, config: Mapping[str, Any]) -> list[Stage]:
        node = config.get("optimizer")
        optimizer = None if node is None else build(node, where="optimizer")
        return resolve_stages(self.model, config.get("stages") or {}, optimizer)

    @property
    def fingerprint(self) -> str:
        """What decides the weights, as a hash."""
        return digest(self.composed.identity)

    @property
    def name(self) -> str:
        given = self.composed.resolved.get("name")
        return given or f"{type(self.model).__name__.lower()}-{self.data.spec.name}"


def build_model(node: Mapping[str, Any], spec: DataSpec, seed: int) -> GenerativeModel:
    """The model of a configuration for these data, its first weights a function of seed alone.

    Raises UsageError with the data that would do where the model cannot take these.
    """
    try:
        with randomness.scope("parameters", seed):
            return build(node, spec, where="model")
    except UnsupportedData as error:
        raise UnsupportedData(f"{error}; try {_alternatives(node)}") from None


def _alternatives(node: Mapping[str, Any]) -> str:
    """Data configurations that this model can be built for."""
    found = []
    for option in options("data"):
        try:
            data = build(compose([f"data={option.name}"]).resolved["data"], where="data")
            build(node, data.spec, where="model")
        except UsageError:
            continue
        found.append(f"data={option.name}")
    return ", ".join(found) or "another model"


def _check_node(key: str, node: Any) -> None:
    if key in ("model", "likelihood"):
        check(node, key, given=1)
    elif key == "optimizer" and node is not None and "_target_" not in node:
        raise UsageError(
            "optimizer.…: choose an optimizer too, such as optimizer=adam or optimizer=adamw"
        )
    else:
        check(node, key)


def _seed(config: Mapping[str, Any]) -> int:
    seed = config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"seed={seed}: expected a whole number, 0 or greater")
    return seed


def _splits(given: Any) -> list[str]:
    splits = [given] if isinstance(given, str) else list(given or [])
    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"evaluate={split}: expected some of {', '.join(SPLITS)}, or []")
    return splits


# ------------------------------------------------------------------------------------------- making a run


def _choose(plan: Plan, overrides: Sequence[str], resume: str | None) -> RunDirectory:
    """The directory to work in: an unfinished run that this plan continues, or a new one."""
    folder = Path(plan.composed.resolved["folder"])
    if resume == "auto":
        run = unfinished(folder, plan.fingerprint)
        if run is not None:
            return run
        print(f"no unfinished run of these settings in {folder}: starting a new one")
    elif resume is not None:
        run = RunDirectory(Path(resume))
        _require_same_run(run, plan)
        return run
    run = create(folder, plan.name, plan.fingerprint)
    _begin_record(run, plan, overrides)
    return run


def _require_same_run(run: RunDirectory, plan: Plan) -> None:
    record = run.read()
    if record["fingerprint"] == plan.fingerprint:
        return
    before = yaml.safe_load(run.config.read_text())
    ours = plan.composed.identity
    differing = [key for key in ours if ours[key] != before.get(key)]
    raise UsageError(
        f"{run.path} was made with another {' and '.join(differing) or 'configuration'}: "
        f"give the same words as then: {' '.join(record['overrides'])}"
    )


def _begin_record(run: RunDirectory, plan: Plan, overrides: Sequence[str]) -> None:
    write_text(run.config, yaml.safe_dump(plan.composed.record, sort_keys=False))
    record = {
        "schema": 1,
        "status": "running",
        "fingerprint": plan.fingerprint,
        "overrides": list(overrides),
        "seed": plan.seed,
        "spec": dataclasses.asdict(plan.data.spec),
        "stages": [stage.name for stage in plan.stages],
        "parameters": sum(p.numel() for p in plan.model.parameters()),
        "threads": plan.settings.choose_threads(),
        "world_size": plan.settings.devices * plan.settings.num_nodes,
        "plugins": {p.distribution: p.version for p in plugins()},
        "sessions": [],
    }
    write_json(run.record, record | {"heartbeat": now()})


class _Session:
    """One process's work on a run, from where it stands to its end."""

    def __init__(self, plan: Plan, run: RunDirectory) -> None:
        self.plan, self.run = plan, run

    def carry_out(self) -> Run:
        if rank() != 0:
            return self._work()
        with self.run.lock():
            record = self.run.read()
            sessions = [*record["sessions"], environment()]
            self.run.update(status="running", sessions=sessions)
            try:
                run = self._work()
            except (KeyboardInterrupt, SystemExit):
                self.run.update(status="interrupted")
                raise KeyboardInterrupt from None
            except BaseException as error:
                self.run.update(status="failed", error=str(error) or repr(error))
                raise
            self.run.update(status="completed", finished=now())
            return run

    def _work(self) -> Run:
        plan = self.plan
        threads = self.run.read()["threads"]
        settings = dataclasses.replace(plan.settings, threads=plan.settings.threads or threads)
        start = time.monotonic()
        fit(
            plan.model,
            plan.data,
            plan.stages,
            self.run,
            settings,
            seed=plan.seed,
            callbacks=self._callbacks(),
            logger=self._logger(),
        )
        if rank() == 0:
            self.run.update(training_seconds=round(time.monotonic() - start, 1))
        run = Run(self.run, model=plan.model, data=plan.data)
        for split in plan.splits:
            run.evaluate(split, settings=settings)
        return run

    def _callbacks(self) -> list[Any]:
        nodes = self.plan.composed.resolved.get("callbacks") or {}
        return [build(node, where=f"callbacks.{key}") for key, node in nodes.items()]

    def _logger(self) -> Any:
        node = self.plan.composed.resolved.get("logger")
        return False if node is None else build(node, where="logger")(str(self.run.path))


# ------------------------------------------------------------------------------------------ opening a run


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
        return yaml.safe_load(self.directory.config.read_text())

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
        settings = settings or build(self.config["trainer"], where="trainer")
        estimator: Likelihood = build(node, self.model, where="likelihood")
        seed = self.record["seed"] if seed is None else seed
        start = time.monotonic()

        def write(scored: Scored) -> None:
            seconds = round(time.monotonic() - start, 2)
            self._write_score(split, node, seed, scored, settings, seconds)

        trainer = settings.trainer([])
        evaluate(self.model, estimator, self.data, split, trainer, seed=seed, write=write)
        if rank() != 0:
            return None
        return json.loads(self._score_file(split, node, seed).read_text())

    def _score_file(self, split: str, node: Mapping[str, Any], seed: int) -> Path:
        settings = {"likelihood": dict(node), "seed": seed, "block": BLOCK}
        name = node["_target_"].rpartition(".")[2].lower()
        return self.directory.scores / f"{split}-{name}-{digest(settings)[:8]}.json"

    def _write_score(
        self,
        split: str,
        node: Mapping[str, Any],
        seed: int,
        scored: Scored,
        settings: TrainerSettings,
        seconds: float,
    ) -> None:
        spec = self.spec
        checkpoint = self.checkpoint
        name = node["_target_"].rpartition(".")[2]
        parameters = {k: v for k, v in node.items() if k != "_target_"}
        score = {
            "schema": 1,
            "checkpoint": {
                "path": str(checkpoint.relative_to(self.path)),
                "sha256": file_digest(checkpoint),
                "stage": checkpoint.parent.name,
                "weights": self._weights(checkpoint.parent.name),
            },
            "data": {
                "name": spec.name,
                "variant": spec.variant,
                "split": split,
                "n": len(scored.nats),
                "spec": dataclasses.asdict(spec),
            },
            "likelihood": {"name": name, "parameters": parameters, "seed": seed, "block": BLOCK},
            "nats": scored.summary(spec.size, spec.log_scale),
            "bits_per_dim": scored.bits_per_dim(spec.size),
            "floor": {
                "nats": independent_floor(self.data, split),
                "method": "independent entries with the training data's marginals",
            },
            "world_size": settings.devices * settings.num_nodes,
            "seconds": seconds,
            "versions": environment()["versions"],
            "created": now(),
        }
        path = self._score_file(split, node, seed)
        arrays = {k: v for k, v in scored.diagnostics.items() if hasattr(v, "shape")}
        with atomic(path.with_suffix(".npz")) as file:
            _savez(file, nats=scored.nats, **{f"diagnostic {k}": v for k, v in arrays.items()})
        write_json(path, score)

    def _weights(self, stage: str) -> str:
        """Whether a stage's weights are averaged ("ema") or as trained ("raw")."""
        content = load_checkpoint(self.checkpoint)
        return "ema" if "current_model_state" in content else "raw"

    def sample(self, n: int, *, seed: int = 0, label: int | None = None) -> Tensor:
        """(n, *shape) draws. The first m of n are the same for every n.

        Drawn in blocks of 64, each with a generator of its own, the last one whole and then cut.
        """
        if n < 1:
            raise UsageError(f"--n {n} must be at least 1")
        labels = self._labels(label)
        blocks = -(-n // BLOCK)
        drawn = []
        with progress("sample", n) as advance, torch.no_grad():
            for block in range(blocks):
                noise = randomness.generator("sample", seed, block, device=self.model.device)
                drawn.append(self.model.sample(BLOCK, label=labels, generator=noise))
                advance(min(n, (block + 1) * BLOCK), "drawn")
        return torch.cat(drawn)[:n]

    def _labels(self, label: int | None) -> Tensor | None:
        if label is None:
            return None
        if not 0 <= label < self.spec.classes:
            raise UsageError(f"--label {label}: {self.spec.name} has {self.spec.classes} classes")
        return torch.full((BLOCK,), label)


def _savez(file: Any, **arrays: Any) -> None:
    import numpy as np

    np.savez_compressed(file, **arrays)
