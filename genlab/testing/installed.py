"""Everything that an installed plugin adds, held to the suite."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryDirectory
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
from genlab.testing.report import Report, Result, Status

DATA = ("digits_binary", "digits", "toy2d")  # that models are tried on with two processes
READABLE, TOGETHER = "words_can_be_read", "it_trains_on_two_processes"
TRIED = "something_was_tried"
STEPS, PATIENCE = 4, 600.0  # of each stage; seconds
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

    return *check_model(made).results, two_processes(option, made)


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
    return [READABLE, *suite, *([TOGETHER] if option.group == "model" else []), *tried]


def two_processes(option: Option, made: Callable[..., Model]) -> Result:
    """Whether a run with two processes trains and scores."""
    start = time.perf_counter()
    for data in DATA:
        try:
            model = made(build(compose([f"data={data}"]).resolved["data"], where="data").spec)
        except UnsupportedData:
            continue
        status, message = _trained(option, data, model)
        return Result(TOGETHER, data, status, time.perf_counter() - start, message)
    return Result(TOGETHER, "", Status.SKIPPED, 0.0, f"it takes none of {', '.join(DATA)}")


def _trained(option: Option, data: str, model: Model) -> tuple[Status, str]:
    with TemporaryDirectory() as folder:
        words = [f"model={option.qualified}", f"data={data}", f"folder={folder}"]
        words += ["trainer=ddp_cpu", "trainer.devices=2", "trainer.threads=1", "gallery=false"]
        words += [f"stages.{s.name}.max_steps={STEPS}" for s in model.stages() if s.solve is None]
        command = [sys.executable, "-m", "genlab", "train", *words, "evaluate=[val]"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return Status.FAILED, f"it has not ended after {PATIENCE:.0f} s: {' '.join(words)}"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode:
        return Status.FAILED, f"exit code {done.returncode}: {last}"
    return Status.PASSED, ""
