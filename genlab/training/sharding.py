"""Fully sharded training: each process keeps a part of the weights, of their gradients and averages.

``fully_shard`` gathers the weights of a module before its forward pass and lets go of them after. It does
so for the model as a whole, and for those of its parts that ``Trainable.shards`` names. Processes may have
different numbers of validation batches, and gathering takes all of them: so weights are gathered once
before a validation and shared out again after it.

Source: Y. Zhao et al., PyTorch FSDP: experiences on scaling fully sharded data parallel, 2023,
https://arxiv.org/abs/2304.11277; here its second version, https://pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import ModelParallelStrategy
from torch.distributed.fsdp import FSDPModule

from genlab.contracts import Stage, Trainable, UsageError


def strategy(processes: int, patience: timedelta) -> ModelParallelStrategy:
    """For so many processes that wait so long for each other.

    Checkpoints are whole, in one file, like those of any other strategy.
    """
    return ModelParallelStrategy(processes, 1, save_distributed_checkpoint=False, timeout=patience)


def require_shardable(stages: Sequence[Stage]) -> None:
    """Raise UsageError for a stage that averages its weights, which Lightning cannot do in shards."""
    for stage in stages:
        if stage.ema:
            raise UsageError(
                f"stages.{stage.name}.ema={stage.ema}: weights that are shared out are not averaged: "
                "set it to 0, or choose trainer=ddp"
            )


def copied(model: Trainable, stage: Stage) -> tuple[Trainable, Stage]:
    """A copy to be sharded and its stage: the weights that it ends with come back by its checkpoint."""
    return copy.deepcopy((model, stage))


class GathersForValidation(Callback):
    """Gathers the weights before a validation, and shares them out after."""

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        for part in _parts(module):
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        for part in _parts(module):
            part.reshard()
            part.set_reshard_after_forward(True, recurse=False)


def _parts(module: Any) -> list[FSDPModule]:
    return [part for part in module.modules() if isinstance(part, FSDPModule)]
