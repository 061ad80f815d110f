"""What a stage goes on with: a checkpoint, held against what genlab and Lightning read of it.

Whoever reads it later does not look: what is missing would be a KeyError then, and what is of another kind
an error in the middle of a step, or, in a fused optimizer, memory that is not its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from genlab.contracts import Stage, UsageError
from genlab.contracts.training import adam
from genlab.errors import in_words
from genlab.shapes import MAYBE, NOTHING, NUMBER, TEXT, Shape, require
from genlab.training.checkpoint_files import load_checkpoint
from genlab.trust import read_json

COUNTS = {"ready": int, "completed": int, "started?": int, "processed?": int}
PROGRESS = {"total": COUNTS, "current": COUNTS}
BATCHES = PROGRESS | {"is_last_batch": bool}
FIT_LOOP = {
    "state_dict": {"combined_loader?": list},
    "epoch_progress": PROGRESS,
    "epoch_loop.state_dict": {"_batches_that_stepped": int},
    "epoch_loop.batch_progress": BATCHES,
    "epoch_loop.scheduler_progress": PROGRESS,
    "epoch_loop.automatic_optimization.state_dict": dict,
    "epoch_loop.automatic_optimization.optim_progress": {
        "optimizer": {"step": PROGRESS, "zero_grad": PROGRESS}
    },
    "epoch_loop.manual_optimization.state_dict": dict,
    "epoch_loop.manual_optimization.optim_step_progress": PROGRESS,
    "epoch_loop.val_loop.state_dict": dict,
    "epoch_loop.val_loop.batch_progress": BATCHES,
}
WHOLE = {
    "pytorch-lightning_version": str,
    "state_dict": dict,
    "current_model_state?": dict,
    "averaging_state?": {"n_averaged": Tensor},
    "loops": {"fit_loop": FIT_LOOP},
    "callbacks": {
        "Checkpoints": {"monitored": TEXT, "best": MAYBE, "waited": int},
        "Curves?": {"losses": [Tensor]},
        "Throughput?": {"flops": (int, NOTHING)},
        "EMAWeightAveraging?": {"latest_update_step": int},
    },
    "optimizer_states": [{"state": dict, "param_groups": [{"params": list}]}],
    "lr_schedulers": [
        {"base_lrs?": [NUMBER], "last_epoch?": int, "_step_count?": int, "_last_lr?": [NUMBER]}
    ],
    "rank_state": [dict],
    "genlab": {"stage": str, "world_size": int},
}
VERSION = re.compile(r"2(\.\d+){1,2}(\.?(a|b|rc|post|dev)\d+)*")  # as Lightning compares them


def load_whole(path: Path) -> dict[str, Any]:
    """A checkpoint that a stage can go on with, or begin with where it is of the stage before.

    Raises UsageError as ``load_checkpoint``, and where it lacks something.
    """
    checkpoint = load_checkpoint(path)
    require_whole(checkpoint, path)
    return checkpoint


def require_whole(checkpoint: dict[str, Any], path: Path) -> None:
    """Raise UsageError where it lacks something that a stage goes on with."""
    _require(path, checkpoint, WHOLE)
    states, processes = checkpoint["rank_state"], checkpoint["genlab"]["world_size"]
    if len(states) != processes:
        raise _spoiled(path, f"rank_state is of {len(states)} processes, not of {processes}")
    if not all(isinstance(value, Tensor) for state in states for value in state.values()):
        raise _spoiled(path, "rank_state holds other things than tensors")
    if any(loss.dim() for loss in checkpoint["callbacks"].get("Curves", {}).get("losses", [])):
        raise _spoiled(path, "a loss is more than a number")
    if not VERSION.fullmatch(checkpoint["pytorch-lightning_version"]):
        raise _spoiled(path, "pytorch-lightning_version is none")


def require_averages(checkpoint: dict[str, Any], path: Path, *, averaging: bool) -> None:
    """Raise UsageError unless it has averages of its weights if they are to go on, and only then."""
    for key in ("current_model_state", "averaging_state"):
        if (key in checkpoint) != averaging:
            there, now = ("a", "not ") if key in checkpoint else ("no", "")
            raise _spoiled(path, f"there is {there} {key}, and weights are {now}averaged")
    if averaging:
        _require_alike_averages(checkpoint, path)


def _require_alike_averages(checkpoint: dict[str, Any], path: Path) -> None:
    averages, weights = (checkpoint[key] for key in ("state_dict", "current_model_state"))
    if {k: _shape(v) for k, v in averages.items()} != {k: _shape(v) for k, v in weights.items()}:
        raise _spoiled(path, "its averages are not of its weights")
    if _shape(checkpoint["averaging_state"]["n_averaged"]) != ():
        raise _spoiled(path, "n_averaged is no number")


def require_epoch(checkpoint: dict[str, Any], path: Path, most: int) -> None:
    """Raise UsageError where it is beyond so many epochs; -1 for no limit."""
    epoch = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"]
    if epoch < 0 or -1 < most < epoch:
        raise _spoiled(path, f"it is at epoch {epoch} of {most}")


def processes_of(mark: Path) -> int:
    """How many have trained a stage, by what it left when it had finished. Raises UsageError."""
    found = read_json(mark)
    _require(mark, found, {"world_size": int})
    return found["world_size"]


def _require(path: Path, value: Any, shape: Shape) -> None:
    try:
        require(value, shape)
    except TypeError as error:
        raise _spoiled(path, str(error)) from None


def _spoiled(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path} is not what genlab wrote ({what}): remove that stage's folder in checkpoints to train it "
        "again"
    )


def require_steps(stage: Stage, checkpoint: dict[str, Any], path: Path) -> None:
    """Raise UsageError unless the stage's optimizer and its schedule take over what the checkpoint has of
    them, and can make a step. Tried with zeros in the place of weights and gradients.
    """
    try:
        _optimizer(stage).step(_nothing)
    except Exception:  # it needs more than that, so that nothing can be tried
        return
    try:
        _go_on(stage, checkpoint)
    except Exception as error:
        raise _spoiled(path, f"optimizer_states: {in_words(error)}") from None


def _optimizer(stage: Stage) -> Optimizer:
    zeros = [
        nn.Parameter(torch.zeros_like(p)) for p in stage.module.parameters() if p.requires_grad
    ]
    for parameter in zeros:
        parameter.grad = torch.zeros_like(parameter)
    return (stage.optimizer or adam)(zeros)


def _nothing() -> float:
    """The loss, for an optimizer that asks for it."""
    return 0.0


def _go_on(stage: Stage, checkpoint: dict[str, Any]) -> None:
    """Raise an error of any kind where it cannot."""
    (state,) = checkpoint["optimizer_states"]
    (schedule,) = checkpoint["lr_schedulers"]
    optimizer, fresh = _optimizer(stage), _optimizer(stage)
    fresh.load_state_dict(state | {"state": {}})
    fresh.step(_nothing)
    optimizer.load_state_dict(state)
    for theirs, ours in zip(_kept(optimizer), _kept(fresh), strict=True):
        for key in theirs.keys() & ours.keys():
            _require_alike(theirs[key], ours[key], key)
    optimizer.step(_nothing)
    scheduler = LambdaLR(optimizer, lambda step: 1.0)
    scheduler.load_state_dict(schedule)
    scheduler.step()


def _require_alike(theirs: Any, ours: Any, key: str) -> None:
    """Raise ValueError for another shape, or for one number that stands for many: a fused step takes the
    memory behind it for as long as that of the weights.
    """
    if _shape(theirs) != _shape(ours):
        raise ValueError(f"{key} is {_shape(theirs)}, not {_shape(ours)}")
    if isinstance(theirs, Tensor):
        needed = (theirs.storage_offset() + theirs.numel()) * theirs.element_size()
        if theirs.untyped_storage().nbytes() < needed:
            raise ValueError(f"{key} has not a number for each of its {theirs.numel()}")


def _kept(optimizer: Optimizer) -> Iterator[dict[str, Any]]:
    """What it keeps for each parameter."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield optimizer.state.get(parameter, {})


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
