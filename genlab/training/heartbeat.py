"""A sign of life in run.json, so that others see how far a run is and whether it lives."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, Trainer

from genlab.contracts import Stage
from genlab.runs import RunDirectory

SECONDS = 15.0


class Heartbeat(Callback):
    """Rank 0 writes every fifteen seconds which stage of how many is at which step of how many.

    A stage in closed form has no steps: it is written down once, before it is solved.
    """

    def __init__(self, run: RunDirectory, stage: Stage, number: int, stages: int) -> None:
        self.run, self.solved = run, stage.solve is not None
        self.where = {"stage": stage.name, "number": number, "stages": stages}
        self._due = 0.0

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        if self.solved and trainer.is_global_zero:
            self.run.update(progress=self.where | {"step": 0, "steps": 0})

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        now = time.monotonic()
        if now < self._due or not trainer.is_global_zero:
            return
        self._due = now + SECONDS
        steps = {"step": trainer.global_step, "steps": int(module.stage_steps())}
        self.run.update(progress=self.where | steps)
