"""Resume: training that is stopped and goes on ends where undisturbed training ends."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pytorch_lightning import Callback
from torch import Tensor

from genlab.contracts import Model, Stage
from genlab.runs import create
from genlab.testing.ambient import ambient
from genlab.testing.check import check, expect, same
from genlab.testing.subject import Subject
from genlab.testing.training import SkewedData, quick_adam, quiet
from genlab.training import TrainerSettings, fit

STEPS, STOP = (
    8,
    6,
)  # of each stage; the last checkpoint before the stop is that of epoch 1, after 4 steps
ROWS, BATCH = 512, 128


@check(
    "training that is stopped in the middle of an epoch and resumed must end with the weights of"
    " undisturbed training, bit by bit: something that it depends on is neither a parameter, a persistent"
    " buffer, rank_state nor the default generator of torch, which is keyed by the step"
)
def resumed_training_is_bit_identical(s: Subject) -> None:
    with TemporaryDirectory() as folder:
        undisturbed = _trained(s, Path(folder) / "undisturbed", ())
        resumed = _trained(s, Path(folder) / "resumed", _names(s.model))
    differing = [name for name, value in undisturbed.items() if not same(value, resumed[name])]
    expect(not differing, f"different: {', '.join(differing[:5])}")


def _names(model: Model) -> list[str]:
    return [stage.name for stage in model.stages() if stage.solve is None]


def _trained(s: Subject, folder: Path, stops: Sequence[str]) -> dict[str, Tensor]:
    """The weights after all stages, each of ``stops`` being stopped once; every session is a new model."""
    folder.mkdir()
    run = create(folder, "check", "check")
    run.update(status="running")
    data = SkewedData(s.space, s.seed, rows=ROWS, batch_size=BATCH)
    settings = TrainerSettings(accelerator="cpu", threads=torch.get_num_threads())
    for stop in (*stops, None):
        model = s.fresh_model(s.build, s.space, s.seed)
        stages = [_short(stage) for stage in model.stages()]
        extra = [_Stop(stop)] if stop else []
        silent = contextlib.redirect_stderr(io.StringIO())
        with (
            silent,
            ambient("fit", s.seed),
            torch.enable_grad(),
            quiet(),
            contextlib.suppress(_Stopped),
        ):
            fit(model, data, stages, run, settings, seed=s.seed, callbacks=extra)
    return model.state_dict()


def _short(stage: Stage) -> Stage:
    if stage.solve is not None:
        return stage
    steps = min(STEPS, stage.max_steps or STEPS)
    return replace(stage, optimizer=stage.optimizer or quick_adam, max_steps=steps, max_epochs=None)


class _Stopped(Exception):
    """What a crash looks like from inside."""


class _Stop(Callback):
    """Ends a stage in the middle of its second epoch."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if module.stage.name == self.stage and trainer.global_step >= STOP:
            raise _Stopped
