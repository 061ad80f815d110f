"""A sign of life in run.json, so that others see how far a run is and whether it lives."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, Trainer

from genlab.runs import RunDirectory

SECONDS = 15.0


class Heartbeat(Callback):
    """Rank 0 writes stage, step and total every fifteen seconds."""

    def __init__(self, run: RunDirectory, stage: str) -> None:
        self.run, self.stage = run, stage
        self._due = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        now = time.monotonic()
        if now < self._due or not trainer.is_global_zero:
            return
        self._due = now + SECONDS
        total = int(module.stage_steps())
        progress = {"stage": self.stage, "step": trainer.global_step, "steps": total}
        self.run.update(progress=progress)
