"""Every setting of a run, what nobody gave among them: a page shows what a model is by its numbers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from enum import Enum
from typing import Any

from genlab.api.run import Run
from genlab.components import RESERVED, build, is_component
from genlab.contracts import GenlabError, Stage
from genlab.contracts.training import adam
from genlab.targets import resolve, signature
from genlab.training.stages import OPTIONS, resolve_stages


def every_setting(run: Run) -> dict[str, Any]:
    """The run's configuration with the defaults of its parts, and with its stages as they were trained.

    The name of its folder, which decides nothing, is left out.
    """
    found = {key: value for key, value in written_out(run.config).items() if key != "folder"}
    node = run.config.get("optimizer")
    optimizer = None if node is None else build(node, where="optimizer")
    stages = resolve_stages(run.model, run.config.get("stages") or {}, optimizer)
    return found | {"stages": {stage.name: _of_stage(stage) for stage in stages}}


def written_out(node: Any) -> Any:
    """A configuration with the defaults of every part that are plain values or parts themselves."""
    if isinstance(node, list):
        return [written_out(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    known = {key: node[key] for key in RESERVED if key in node}
    if is_component(node):
        known |= _defaults(node["_target_"])
    return {key: written_out(value) for key, value in {**known, **node}.items()}


def _defaults(target: str) -> dict[str, Any]:
    """Of a part that a configuration may name. A default may be another part, which none may."""
    try:
        parameters, _ = signature(resolve(target, "settings"))
    except GenlabError:
        return {}
    found = {name: _plain(p.default) for name, p in parameters.items()}
    return {name: value for name, value in found.items() if value is not _UNKNOWN}


_UNKNOWN = object()


def _plain(value: Any) -> Any:
    """A default as a configuration would have it; _UNKNOWN where it cannot be written in one."""
    if inspect.isclass(value) and value is not inspect.Parameter.empty:
        return {"_target_": f"{value.__module__}.{value.__qualname__}", "_partial_": True}
    if isinstance(value, functools.partial) and inspect.isclass(value.func):
        return {**_plain(value.func), **value.keywords}
    if isinstance(value, list | tuple):
        found = [_plain(each) for each in value]
        return _UNKNOWN if _UNKNOWN in found else found
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool):
        return value
    return next((kind(value) for kind in (str, int, float) if isinstance(value, kind)), _UNKNOWN)


def _of_stage(stage: Stage) -> dict[str, Any]:
    if stage.solve is not None:
        return {"solved": "in closed form"}
    optimizer = (stage.optimizer or adam)(list(stage.module.parameters()))
    chosen = {"name": type(optimizer).__name__, **optimizer.defaults}
    own = {key: getattr(stage, key) for key in OPTIONS} | {"optimizer": chosen}
    return {key: _readable(value) for key, value in own.items()}


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _readable(inner) for key, inner in value.items()}
    found = _plain(value)
    return str(value) if found is _UNKNOWN else found
