"""The stages of a run: what the model proposes, as changed by ``stages:`` in the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

import torch

from genlab.components import build, coerce, is_component
from genlab.contracts import Stage, Trainable, UsageError
from genlab.contracts.training import LR_SCHEDULES, adam
from genlab.spelling import suggest

OPTIONS = (
    "optimizer",
    "max_epochs",
    "max_steps",
    "lr_schedule",
    "momentum_schedule",
    "ema",
    "patience",
)


def resolve_stages(
    model: Trainable, changes: Mapping[str, Mapping[str, Any]], optimizer: Callable[..., Any] | None
) -> list[Stage]:
    """The model's stages with the configuration's changes.

    optimizer: the run's, for stages that name none; ``stages.<name>.optimizer`` is stronger than both.
    Raises UsageError for an unknown stage, an unknown option or a value out of range.
    """
    own = list(model.stages())
    names = [stage.name for stage in own]
    for name in changes:
        if name not in names:
            raise UsageError(
                f"stages.{name}: {type(model).__name__} has no stage {name!r}: its stages are "
                f"{', '.join(names)}"
            )
    if optimizer is not None and all(stage.solve is not None for stage in own):
        raise UsageError(
            f"optimizer=…: {type(model).__name__} is solved in closed form, without an optimizer: "
            "leave it out"
        )
    if optimizer is not None and all(stage.optimizer is not None for stage in own):
        raise UsageError(
            f"optimizer=…: every stage of {type(model).__name__} names its own: "
            f"set stages.{names[0]}.optimizer instead"
        )
    return [_changed(stage, changes.get(stage.name) or {}, optimizer) for stage in own]


def _changed(
    stage: Stage, change: Mapping[str, Any], optimizer: Callable[..., Any] | None
) -> Stage:
    where = f"stages.{stage.name}"
    coerce(change, dict, where)
    if stage.solve is not None:
        return _solved(stage, change, where)
    hints = _hints()
    values: dict[str, Any] = {"optimizer": stage.optimizer or optimizer}
    for key, value in change.items():
        if key not in OPTIONS:
            raise UsageError(f"{where}.{key}: a stage has no option {key!r}{suggest(key, OPTIONS)}")
        if key == "optimizer":
            values[key] = _optimizer(value, f"{where}.optimizer")
        else:
            values[key] = coerce(value, hints[key], f"{where}.{key}")
    changed = replace(stage, **values)
    _require_sane(changed, where)
    return changed


def _solved(stage: Stage, change: Mapping[str, Any], where: str) -> Stage:
    if change:
        key = next(iter(change))
        raise UsageError(
            f"{where}.{key}: this stage is solved in closed form and has no {key}: leave it out"
        )
    return stage


def _optimizer(node: Any, where: str) -> Any:
    if not is_component(node):
        raise UsageError(f"{where} needs a whole component with _target_ and _partial_: true")
    return build(node, where=where)


def _hints() -> dict[str, Any]:
    return {f.name: get_type_hints(Stage)[f.name] for f in fields(Stage) if f.name in OPTIONS}


def _require_sane(stage: Stage, where: str) -> None:
    for key in ("max_epochs", "max_steps", "patience"):
        value = getattr(stage, key)
        if value is not None and value < 1:
            raise UsageError(f"{where}.{key}={value} must be at least 1, or null for no limit")
    if not 0 <= stage.ema < 1:
        raise UsageError(f"{where}.ema={stage.ema} must be in [0, 1)")
    optimizer = _tried(stage, where)
    _require_schedules(stage, optimizer, where)


def _tried(stage: Stage, where: str) -> torch.optim.Optimizer:
    try:
        return (stage.optimizer or adam)(list(stage.module.parameters()))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the optimizer of {where} refuses its options: {error}") from None


def _require_schedules(stage: Stage, optimizer: torch.optim.Optimizer, where: str) -> None:
    rate, momentum = stage.lr_schedule, stage.momentum_schedule
    if not isinstance(rate, str):
        _require_steps(rate, f"{where}.lr_schedule", "a factor of 0 or more", 0.0, math.inf)
    elif rate not in LR_SCHEDULES:
        known = " or ".join(LR_SCHEDULES)
        raise UsageError(
            f"{where}.lr_schedule={rate}: expected {known}, or a factor from a step on, {{10000: 0.1}}"
        )
    if momentum is None:
        return
    _require_steps(momentum, f"{where}.momentum_schedule", "a momentum in [0, 1)", 0.0, 1.0)
    if not isinstance(optimizer, torch.optim.SGD):
        raise UsageError(
            f"{where}.momentum_schedule: {type(optimizer).__name__} has no momentum that could change: "
            "choose optimizer=sgd or leave the schedule out"
        )


def _require_steps(
    schedule: Mapping[Any, Any], where: str, expected: str, low: float, high: float
) -> None:
    """Raise UsageError unless steps are whole numbers and values numbers in [low, high)."""
    for step, value in schedule.items():
        if not (_is_number(step) and step >= 0 and step == int(step)):
            raise UsageError(
                f"{where}={dict(schedule)}: {step!r} is no step: give whole numbers of 0 or more, "
                "as {10000: 0.1}"
            )
        if not (_is_number(value) and low <= value < high):
            raise UsageError(
                f"{where}={dict(schedule)}: {value!r} at step {step} is not {expected}"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
