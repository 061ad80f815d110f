"""A sign of life in run.json, so that others see how far a run is and whether it lives."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from pytorch_lightning import Callback, Trainer

from genlab.contracts import GenlabError, Stage
from genlab.runs import RunDirectory

SECONDS = 15.0


class Heartbeat(Callback):
    """Rank 0 writes every fifteen seconds which stage of how many is at which step of how many, and adds
    the time to ``training_seconds``: of all sessions and stages, of what was done twice after a kill too.

    A stage in closed form has no steps: it is written down before it is solved and after.
    """

    def __init__(self, run: RunDirectory, stage: Stage, number: int, stages: int) -> None:
        self.run, self.solved = run, stage.solve is not None
        self.where = {"stage": stage.name, "number": number, "stages": stages}
        self._written = time.monotonic()
        self._due = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        if time.monotonic() >= self._due:
            self._write(trainer, trainer.global_step, int(module.stage_steps()))

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._write(trainer, trainer.global_step, int(module.stage_steps()))

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        """How far it came; what ends it may be that nothing can be written."""
        if not self.solved and trainer.global_step:
            with suppress(GenlabError):
                self._write(trainer, trainer.global_step, int(module.stage_steps()))

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        if self.solved:
            self._write(trainer, 0, 0)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        self.on_validation_start(trainer, module)

    def _write(self, trainer: Trainer, step: int, steps: int) -> None:
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        progress = self.where | {"step": step, "steps": steps}
        self.run.spend(now - self._written, progress=progress)
        self._written, self._due = now, now + SECONDS
