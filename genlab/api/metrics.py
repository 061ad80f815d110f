"""The metrics that a configuration asks for, and those that a model can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genlab.components import build, check, is_component
from genlab.config import compose
from genlab.contracts import Model, UsageError
from genlab.metrics import DatumMetric, SampleMetric
from genlab.targets import resolve

Metric = DatumMetric | SampleMetric


def check_metrics(nodes: Mapping[str, Any]) -> None:
    """Raise UsageError for what is no metric, and for options that it does not have."""
    asked = [key for key, node in nodes.items() if is_component(node)]
    for key, node in nodes.items():
        if key not in asked:
            known = ", ".join(asked) or "none"
            raise UsageError(f"metric.{key}: {key} is not among the metrics asked for ({known})")
        check(node, f"metric.{key}", given=1)
        _kind(key, node)


def build_metrics(nodes: Mapping[str, Any], model: Model, seed: int) -> list[Metric]:
    """The metrics of a configuration for a model: of its answers, and of its samples by seed."""
    check_metrics(nodes)
    built = []
    for key, node in nodes.items():
        first = model if issubclass(_kind(key, node), DatumMetric) else seed
        built.append(build(node, first, where=f"metric.{key}"))
    return built


def possible(nodes: Mapping[str, Any], model: Model, *, everything: bool) -> dict[str, Any]:
    """The metrics among these that a model can have.

    Raises UsageError for one that it cannot have, unless all there are were asked for (everything).
    """
    check_metrics(nodes)
    lacking = {key: _kind(key, node).lacking(model) for key, node in nodes.items()}
    for key, words in lacking.items():
        if words and not everything:
            raise UsageError(f"metric={key} needs {words}")
    return {key: node for key, node in nodes.items() if not lacking[key]}


def of_answers(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that ask about each datum: they cost one pass."""
    return {key: node for key, node in nodes.items() if issubclass(_kind(key, node), DatumMetric)}


def of_samples(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that compare samples with data."""
    return {key: node for key, node in nodes.items() if issubclass(_kind(key, node), SampleMetric)}


def unasked(model: Model) -> dict[str, Any]:
    """The metrics of its answers that a model can have, which nobody needs to ask for."""
    return possible(of_answers(compose(["metric=all"]).resolved["metric"]), model, everything=True)


def _kind(key: str, node: Mapping[str, Any]) -> type[Metric]:
    found = resolve(node["_target_"], f"metric.{key}")
    if not (isinstance(found, type) and issubclass(found, Metric)):
        raise UsageError(
            f"metric.{key} is {found.__name__}, which is no SampleMetric and no DatumMetric"
        )
    return found
