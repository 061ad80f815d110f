"""A stage in closed form: solved on all training data, then validated like any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab import randomness
from genlab.contracts import Batch, DataModule, Stage
from genlab.contracts.loading import stretches

ROWS = 4096  # in a batch: large enough for fast matrix products


class Solution(Callback):
    """Calls the stage's ``solve`` before a validation; Lightning has turned gradients off by then."""

    def __init__(self, stage: Stage, data: DataModule, seed: int) -> None:
        self.stage, self.data, self.seed = stage, data, seed

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        assert self.stage.solve is not None
        self.data.setup("fit")
        with randomness.scope("begin", self.seed, self.stage.name):
            self.stage.solve(_EveryDatum(self.data, module.device))


class _EveryDatum:
    """Batches in order, each training datum once. Data that redraw themselves are at epoch 0."""

    def __init__(self, data: DataModule, device: torch.device) -> None:
        self.data, self.device = data, device
        self.dataset = data.dataset("train")

    def __iter__(self) -> Iterator[Batch]:
        for rows in stretches(len(self.dataset), ROWS):
            yield self.data.transfer_batch_to_device(self.dataset[rows], self.device, 0)
