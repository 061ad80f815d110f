"""Everything that an installed plugin adds, held to the suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from genlab.components import build, check, is_component
from genlab.config import compose
from genlab.contracts import Model, UnsupportedData
from genlab.options import Option, added_by
from genlab.plugins import Plugin, not_used
from genlab.testing.check import describe
from genlab.testing.conformance import check_model
from genlab.testing.data import check_data
from genlab.testing.likelihoods import check_likelihood
from genlab.testing.metrics import check_metric
from genlab.testing.parametrize import NAMES
from genlab.testing.processes import NAMES as TOGETHER
from genlab.testing.processes import check_processes
from genlab.testing.report import Report, Result, Status

DATA = ("digits_binary", "digits", "toy2d")  # that models are tried on with two processes
READABLE, TRIED = "words_can_be_read", "something_was_tried"
# Parts of a configuration that are components, and how many arguments each is given besides its own keys.
OWN_WORDS = {"model": 1, "data": 0, "trainer": 0, "optimizer": 0, "likelihood": 1, "logger": 0}


def reports(plugin: Plugin) -> Iterator[Report]:
    """Of each option of a plugin that is used; raises an error for one that is not."""
    return map(report, options_of(plugin))


def options_of(plugin: Plugin) -> Sequence[Option]:
    """Everything that it adds. Raises an error where it is not used."""
    if not plugin.used:
        raise not_used(plugin)
    return added_by(plugin.name)


def report(option: Option) -> Report:
    """Whether its words can be read, and its component by the checks of its kind."""
    word, start = f"{option.group}={option.qualified}", time.perf_counter()

    def read(status: Status, message: str = "") -> Result:
        return Result(READABLE, "", status, time.perf_counter() - start, message)

    try:
        config = compose([word]).resolved
        for key in (k for k in OWN_WORDS if is_component(config.get(k))):
            check(config[key], where=key, given=OWN_WORDS[key])
    except Exception as error:
        return Report(word, (read(Status.FAILED, describe(error)),))
    first, kind = read(Status.PASSED), KINDS.get(option.group)
    results = kind(option, config[option.group]) if kind else ()
    if results and all(result.status is Status.SKIPPED for result in results):
        reasons = ", ".join(dict.fromkeys(result.message for result in results))
        results = (*results, Result(TRIED, "", Status.FAILED, 0.0, f"not one check ran: {reasons}"))
    return Report(word, (first, *results))


def _model(option: Option, node: dict[str, Any]) -> Sequence[Result]:
    def made(spec: Any) -> Model:
        return build(node, spec, where="model")

    return *check_model(made).results, *_two_processes(option, made)


def _data(option: Option, node: dict[str, Any]) -> Sequence[Result]:
    return check_data(lambda: build(node, where="data")).results


def _likelihood(option: Option, node: dict[str, Any]) -> Sequence[Result]:
    return check_likelihood(lambda model: build(node, model, where="likelihood")).results


def _metric(option: Option, node: dict[str, Any]) -> Sequence[Result]:
    found: list[Result] = []
    for key, each in node.items():
        partial = dict(each) | {"_partial_": True}
        found += check_metric(build(partial, where=f"metric.{key}")).results
    return found


KINDS: dict[str, Callable[[Option, Any], Sequence[Result]]] = {
    "model": _model,
    "data": _data,
    "likelihood": _likelihood,
    "metric": _metric,
}


SUITES = {
    "model": check_model,
    "data": check_data,
    "likelihood": check_likelihood,
    "metric": check_metric,
}


def checks_of(option: Option) -> list[str]:
    """The names of all checks that its report may have."""
    suite = NAMES[SUITES[option.group]] if option.group in SUITES else []
    tried = [TRIED] if suite else []
    return [READABLE, *suite, *(TOGETHER if option.group == "model" else []), *tried]


def _two_processes(option: Option, made: Callable[..., Model]) -> Sequence[Result]:
    """What a run on two processes owes, on the first data that the model takes."""
    for data in DATA:
        try:
            made(build(compose([f"data={data}"]).resolved["data"], where="data").spec)
        except UnsupportedData:
            continue
        (found,) = check_processes([f"model={option.qualified}", f"data={data}"])
        return [replace(result, space=data) for result in found.results]
    reason = f"it takes none of {', '.join(DATA)}"
    return [Result(TOGETHER[0], "", Status.SKIPPED, 0.0, reason)]
