"""Stopping when asked to: between two steps, with a checkpoint, all processes at the same step.

About once a second the processes ask each other whether one of them has been asked; after how many steps
they do so next is part of what they agree on, as their clocks may differ.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab import interrupts
from genlab.training.checkpoints import Checkpoints

SECONDS = 1.0  # between two questions
MOST = 1000  # steps between them


class StopsWhenAsked(Callback):
    """Saves and raises ``Interrupted``; at the end of an epoch what it ends with has been saved already."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._countdown, self._waited, self._since = 1, 1, time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        between_steps = trainer.fit_loop._should_accumulate()  # a partial gradient would be lost
        if between_steps or trainer.is_last_batch or trainer.should_stop:
            return
        signum = self._asked(trainer)
        if signum:
            self.checkpoints.save_last(trainer)
            raise interrupts.Interrupted(signum)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        signum = self._agree(trainer)
        if signum:
            raise interrupts.Interrupted(signum)

    def _asked(self, trainer: Trainer) -> int:
        if trainer.world_size == 1:
            return interrupts.asked()
        self._countdown -= 1
        return 0 if self._countdown else self._agree(trainer)

    def _agree(self, trainer: Trainer) -> int:
        """The signal that any process has got; and how many steps until the next question."""
        if trainer.world_size == 1:
            return interrupts.asked()
        now = time.monotonic()
        pace = self._waited * SECONDS / max(now - self._since, 1e-3)
        own = [interrupts.asked(), max(1, min(MOST, int(pace)))]
        agreed = torch.tensor(own, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MAX)
        signum, self._waited = agreed.tolist()
        self._countdown, self._since = self._waited, now
        return signum
