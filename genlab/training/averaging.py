"""Averages of a stage's weights, which later stages, evaluation and sampling use.

Buffers are left alone: averaging would turn binary chains into greys and counters into fractions.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.optim.swa_utils import AveragedModel

from genlab.contracts import Stage, UsageError


def averaging(stage: Stage, *, shards: bool) -> list[Callback]:
    """What averages the weights of a stage, if anything does.

    shards: whether each process keeps only a part of the weights.
    """
    if stage.ema == 0:
        return []
    kind = AveragesParts if shards else EMAWeightAveraging
    return [kind(decay=stage.ema, use_buffers=False)]


def is_averaging(trainer: Any) -> bool:
    """Whether something does, also a callback that somebody has added."""
    return any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)


def require_averageable(stages: Sequence[Stage], precision: str) -> None:
    """Raise UsageError for a stage whose averages would be as coarse as its weights, of which each step
    changes too little. For weights that are shared out; other averages are in float32.
    """
    for stage in (stage for stage in stages if stage.ema and precision == "bf16-true"):
        raise UsageError(
            f"trainer.precision={precision}: averages (stages.{stage.name}.ema={stage.ema}) of weights "
            "that are shared out would have no more digits than the weights: choose bf16-mixed, or set "
            "that to 0"
        )


class AveragesParts(EMAWeightAveraging):
    """Each process averages the parts of the weights that it keeps, where Lightning would copy the model,
    which weights that are shared out do not allow. A checkpoint is that of whole averages; of buffers there
    are none.
    """

    @property
    def state_key(self) -> str:
        return EMAWeightAveraging.__qualname__

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Nothing: weights are shared out only after it."""

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._weights = list(pl_module.parameters())
        device = trainer.strategy.root_device
        self._average_model = AveragedModel(self._parts(), device, **self._kwargs)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *which: Any) -> None:
        if trainer.global_step > self._latest_update_step:
            super().on_train_batch_end(trainer, self._parts(), *which)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Here, before the weights are gathered."""
        super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Nothing: it is done."""

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        assert self._average_model is not None
        self._swap_models(pl_module)
        averages = trainer.strategy.lightning_module_state_dict()
        if trainer.world_size == 1:
            averages = copy.deepcopy(averages)  # else the weights' own memory
        self._swap_models(pl_module)
        checkpoint["current_model_state"] = checkpoint["state_dict"]
        checkpoint["state_dict"] = averages
        checkpoint["averaging_state"] = {"n_averaged": self._average_model.n_averaged.cpu()}

    @torch.no_grad()
    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """The weights are the averages now, as ``state_dict`` has them."""
        assert self._average_model is not None
        for average, weight in zip(self._average_model.parameters(), self._parts(), strict=True):
            average.copy_(weight)
        self._average_model.n_averaged.copy_(checkpoint["averaging_state"]["n_averaged"])
        whole = StateDictOptions(full_state_dict=True)
        set_model_state_dict(pl_module, checkpoint["current_model_state"], options=whole)

    def _swap_models(self, pl_module: Any) -> None:
        super()._swap_models(self._parts())

    def _copy_average_to_current(self, pl_module: Any) -> None:
        super()._copy_average_to_current(self._parts())

    @torch.no_grad()
    def _parts(self) -> Any:
        """What this process keeps of the weights, in the same memory."""
        own = (weight.to_local() for weight in self._weights)
        return nn.ParameterList(nn.Parameter(part, requires_grad=False) for part in own)
