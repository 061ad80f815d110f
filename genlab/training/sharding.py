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
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    set_model_state_dict,
)
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from genlab.contracts import Stage, Trainable
from genlab.training.checkpoint_files import load_checkpoint


class Sharded(ModelParallelStrategy):
    """For so many processes that wait so long for each other.

    A checkpoint is that of any other strategy: whole, in one file, and what the optimizer keeps of a weight
    under the weight's number in the optimizer. Lightning would number all weights of the model, and torch's
    own functions fail for optimizers that keep nothing.
    """

    def __init__(self, processes: int, patience: timedelta) -> None:
        super().__init__(processes, 1, save_distributed_checkpoint=False, timeout=patience)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As one process would have it: on the CPU, and on rank 0 alone."""
        found = optimizer.state_dict()
        state = {
            number: {key: self._whole(value) for key, value in kept.items()}
            for number, kept in found["state"].items()
        }
        return found | {"state": state if self.is_global_zero else {}}

    def _whole(self, value: Any) -> Any:
        """All processes must take part; those above rank 0 keep nothing."""
        if isinstance(value, DTensor):
            value = value.full_tensor()
        if not self.is_global_zero:
            return None
        return value.cpu() if isinstance(value, Tensor) else value

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint, model = load_checkpoint(Path(checkpoint_path)), self.model
        assert model is not None
        whole = StateDictOptions(full_state_dict=True)
        set_model_state_dict(model, checkpoint["state_dict"], options=whole)
        for optimizer, found in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(_shared_out_state(optimizer, found))
        return checkpoint


def _shared_out_state(optimizer: Optimizer, found: Mapping[str, Any]) -> dict[str, Any]:
    """What an optimizer keeps of each weight, as this process keeps the weight."""
    weights = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    numbers = chain.from_iterable(group["params"] for group in found["param_groups"])
    state = {
        number: {
            key: _like(weight, value) if _is_of_each(weight, value) else value
            for key, value in found["state"][number].items()
        }
        for weight, number in zip(weights, numbers, strict=True)
        if number in found["state"]
    }
    return {**found, "state": state}


def _is_of_each(weight: Tensor, value: Any) -> bool:
    """Whether it has a number for each of a weight's."""
    return isinstance(value, Tensor) and value.dim() > 0 and value.shape == weight.shape


def copied(model: Trainable, stage: Stage) -> tuple[Trainable, Stage]:
    """A copy to be sharded and its stage: the weights that it ends with come back by its checkpoint."""
    return copy.deepcopy((model, stage))


class KeepsWhatLossesMove(Callback):
    """A loss may move weights itself, as the centring of a machine does. What it moves are those that are
    gathered, of which nothing would stay: each process takes over its part of them.
    """

    def __init__(self) -> None:
        self._parts: dict[str, DTensor] = {}

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, index: int) -> None:
        if not self._parts:
            self._parts = dict(_shared_out(module))

    def on_before_backward(self, trainer: Trainer, module: Any, loss: Tensor) -> None:
        self._moved = {
            name: _part_of(weight, self._parts[name])
            for name, weight in module.named_parameters()
            if name in self._parts and not isinstance(weight, DTensor)
        }

    @torch.no_grad()
    def on_after_backward(self, trainer: Trainer, module: Any) -> None:
        for name, weight in _shared_out(module):
            if name in self._moved:
                weight.to_local().copy_(self._moved[name])
        self._moved.clear()


def _shared_out(module: nn.Module) -> Iterator[tuple[str, DTensor]]:
    return ((name, p) for name, p in module.named_parameters() if isinstance(p, DTensor))


def _part_of(whole: Tensor, like: DTensor) -> Tensor:
    return _like(like, whole.detach()).to_local().clone()


def _like(weight: DTensor, whole: Tensor) -> DTensor:
    """Shared out as a weight is. Nothing is sent: all have the same."""
    own = whole.to(weight.device)
    return distribute_tensor(own, weight.device_mesh, weight.placements, src_data_rank=None)


class GathersForValidation(Callback):
    """Gathers the weights before a validation, and shares them out after."""

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        for part in _parts(module):
            part.set_reshard_after_forward(False, recurse=False)
            part.reshard()  # what a forward pass of others has gathered, which may be averages by now
            part.unshard()

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        for part in _parts(module):
            part.reshard()
            by_itself = part is not module  # as fully_shard has chosen
            part.set_reshard_after_forward(by_itself, recurse=False)


def _parts(module: Any) -> list[FSDPModule]:
    return [part for part in module.modules() if isinstance(part, FSDPModule)]
