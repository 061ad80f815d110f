"""Every training step starts its own random stream, so a resumed run needs no generator's state."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, Trainer

from genlab.randomness import reseed


class KeyedRandomness(Callback):
    """Seeds the default generators from (seed, stage, rank, epoch, batch) before every batch (µs)."""

    def __init__(self, seed: int, stage: str) -> None:
        self.seed, self.stage = seed, stage

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, index: int) -> None:
        reseed("step", self.seed, self.stage, trainer.global_rank, trainer.current_epoch, index)

    def on_validation_batch_start(
        self, trainer: Trainer, module: Any, batch: Any, index: int, loader: int = 0
    ) -> None:
        reseed("validate", self.seed, self.stage, trainer.global_rank, index)
