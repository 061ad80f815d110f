"""Between two steps, the same of all processes: saving where it is due, and stopping when asked.

About once a second the processes ask each other whether one of them has been asked to stop, and whether one
finds a checkpoint due; after how many batches they do so next is part of what they agree on, as their
clocks may differ.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab import interrupts
from genlab.training.checkpoints import Checkpoints

SECONDS = 1.0  # between two questions
MOST = 1000  # batches between them
OFTEN = 50  # steps between two checkpoints, with ``trainer.checkpoint_minutes=0``


class BetweenSteps(Callback):
    """Saves where that is due. Asked to stop, it saves and raises ``Interrupted``; what an epoch ends with
    has been saved already.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._until, self._seen, self._since = 1, 0, time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self._seen += 1
        in_a_step = trainer.fit_loop._should_accumulate()  # a partial gradient would be lost
        if in_a_step or trainer.is_last_batch or trainer.should_stop:
            return
        signum, late = self._asked(trainer)
        if signum or late or self._is_often(trainer):
            self.checkpoints.save_last(trainer)
        if signum:
            raise interrupts.Interrupted(signum)

    def _is_often(self, trainer: Trainer) -> bool:
        return not self.checkpoints.seconds and trainer.global_step % OFTEN == 0

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        signum, _ = self._agree(trainer)
        if signum:
            raise interrupts.Interrupted(signum)

    def _asked(self, trainer: Trainer) -> tuple[int, bool]:
        if trainer.world_size > 1 and self._seen < self._until:
            return 0, False
        return self._agree(trainer)

    def _agree(self, trainer: Trainer) -> tuple[int, bool]:
        """The signal that any process has got, and whether any is late; and how many batches until the next
        question."""
        if trainer.world_size == 1:
            return interrupts.asked(), self.checkpoints.is_late()
        now = time.monotonic()
        pace = self._seen * SECONDS / max(now - self._since, 1e-3)
        own = [interrupts.asked(), self.checkpoints.is_late(), max(1, min(MOST, int(pace)))]
        agreed = torch.tensor(own, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MAX)
        signum, late, self._until = agreed.tolist()
        self._seen, self._since = 0, now
        return signum, bool(late)
