"""Training a model briefly on skewed data, and what was seen of its gradients on the way."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, Trainer
from torch import nn
from torch.optim import Optimizer

from genlab import randomness
from genlab.contracts import Batch, BatchSource, DataModule, DataSpec, Rows, Stage, Trainable
from genlab.testing.ambient import ambient
from genlab.testing.spaces import Space

ROWS = 4096
BATCH = 128


class SkewedData(DataModule):
    """Draws of a space's skewed distribution. Labels, where the spec has classes, tell the prototypes."""

    def __init__(self, space: Space, seed: int, rows: int = ROWS, batch_size: int = BATCH) -> None:
        super().__init__(batch_size)
        self.space, self.seed, self.rows = space, seed, rows
        self.shuffle_seed = randomness.key("shuffle", seed) >> 32

    @property
    def spec(self) -> DataSpec:
        return self.space.spec

    def dataset(self, split: str) -> BatchSource:
        x, which = self.space.draw(self.rows, randomness.generator("data", self.seed, split))
        return Rows(x, which % self.spec.classes if self.spec.classes else None)


def quick_adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """For stages that name no optimizer: the default learning rate is made for longer runs."""
    return torch.optim.Adam(parameters, lr=1e-2)


class Monitored(NamedTuple):
    """The value that a stage would choose its weights by, before it and after, on validation data."""

    stage: str
    name: str
    before: float
    after: float


@dataclass
class Training:
    """silent: the parameters that no gradient reached, each as "stage: name"."""

    silent: list[str] = field(default_factory=list)
    monitored: list[Monitored] = field(default_factory=list)


def train(model: Trainable, space: Space, *, steps: int, seed: int) -> Training:
    """Fit every stage for at most ``steps`` steps; leave the model in eval mode.

    What a run may change is changed or left out: a stage's decay is kept, its averaging is not.
    """
    data, seen = SkewedData(space, seed), Training()
    for stage in model.stages():
        if stage.solve is None:
            _fit(model, stage, data, steps, seed, seen)
        else:
            _solve(model, stage, stage.solve, data, seed)
    model.eval()
    return seen


def _solve(
    model: Trainable,
    stage: Stage,
    solve: Callable[[Sequence[Batch]], None],
    data: SkewedData,
    seed: int,
) -> None:
    model.enter(stage)
    rows = data.dataset("train")
    with ambient("solve", seed, stage.name), torch.no_grad():
        solve([rows[part] for part in torch.arange(len(rows)).split(BATCH)])


def _fit(
    model: Trainable, stage: Stage, data: SkewedData, steps: int, seed: int, seen: Training
) -> None:
    steps = min(steps, stage.max_steps or steps)
    model.enter(replace(stage, optimizer=stage.optimizer or quick_adam, max_steps=steps))
    if stage.begin is not None:
        with ambient("begin", seed, stage.name):
            stage.begin(data.dataset("train")[torch.arange(ROWS)])
    watch, before = _Watch(stage, seed), _monitored(model, stage, data, seed)
    with ambient("fit", seed, stage.name), quiet():
        _trainer(watch, steps).fit(model, datamodule=data)
    seen.silent += [f"{stage.name}: {name}" for name in watch.silent()]
    after = _monitored(model, stage, data, seed)
    if before is not None and after is not None and before[0] == after[0]:
        seen.monitored.append(Monitored(stage.name, before[0], before[1], after[1]))


def _monitored(
    model: Trainable, stage: Stage, data: SkewedData, seed: int
) -> tuple[str, float] | None:
    """The first of what is validated, and its mean; None where there is none, or it is no number."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    with ambient("validate", seed, stage.name), torch.no_grad():
        found = (stage.validate or model.validate)(data.dataset("val")[torch.arange(2 * BATCH)])
    for module in training:
        module.training = True
    name = next(iter(found), None)
    mean = math.nan if name is None else float(found[name].double().mean())
    return (name, mean) if name is not None and math.isfinite(mean) else None


class _Watch(Callback):
    """Keys the randomness of every step, and remembers which parameters a gradient has reached."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.seed = stage, seed
        trained = stage.module.named_parameters()
        self.waiting = {name: p for name, p in trained if p.requires_grad}

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        randomness.reseed("step", self.seed, self.stage.name, trainer.global_step)

    def on_after_backward(self, *_: Any) -> None:
        reached = [name for name, p in self.waiting.items() if p.grad is not None and p.grad.any()]
        for name in reached:
            del self.waiting[name]

    def silent(self) -> list[str]:
        return list(self.waiting)


@contextmanager
def quiet() -> Iterator[None]:
    """What Lightning would remark is on purpose, but for one question it asks of torch itself."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*GPU available but not used.*")
        warnings.filterwarnings(
            "ignore", ".*in eval mode at the start of training.*"
        )  # the frozen rest
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        yield


def _trainer(watch: _Watch, steps: int) -> Trainer:
    """A trainer on this process and the CPU, which validates nothing and writes nothing."""
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        max_steps=steps,
        limit_val_batches=0,
        callbacks=[watch],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
