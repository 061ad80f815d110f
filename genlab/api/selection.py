"""Settings chosen on validation data: ``select: {optimizer.weight_decay: [0.01, 0.1]}``.

Each combination is trained in turn, in a folder of its own below the run; the one whose best monitored
validation value is lowest becomes the run. Test data play no part.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from genlab.api.plan import Plan
from genlab.config import GROUPS
from genlab.contracts import UsageError
from genlab.launch import rank
from genlab.runs import RunDirectory, write_text

Train = Callable[[Plan, RunDirectory], float | None]


def candidates(plan: Plan) -> list[tuple[dict[str, Any], Plan]]:
    """Every combination of the values in ``select`` and the plan it makes; one, if there is no choice.

    A key that was given on the command line is not chosen anew.
    Raises UsageError where ``select`` is not a mapping of keys to lists.
    """
    given = {word.lstrip("+~").split("=")[0] for word in plan.words}
    lists = {
        k: v for k, v in _lists(plan.composed.resolved.get("select")).items() if k not in given
    }
    if not lists:
        return [({}, plan)]
    choices = [
        dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())
    ]
    return [(choice, _plan_of(plan, choice)) for choice in choices]


def _lists(select: Any) -> Mapping[str, Sequence[Any]]:
    if select is None:
        return {}
    if not isinstance(select, Mapping) or not all(
        isinstance(v, list) and v for v in select.values()
    ):
        raise UsageError(
            f"select={select}: expected keys and lists, as {{optimizer.lr: [1e-3, 3e-3]}}"
        )
    return select


def _plan_of(plan: Plan, choice: Mapping[str, Any]) -> Plan:
    words = [f"{k}={v if k in GROUPS else json.dumps(v)}" for k, v in choice.items()]
    return Plan([*plan.words, *words, "select=null"])


def train_the_best(
    tried: Sequence[tuple[dict[str, Any], Plan]], run: RunDirectory, train: Train
) -> Plan:
    """Train every candidate, make the best the run, and return its plan.

    train: fits a plan in a directory, resuming what is there, and returns its best validation value.
    """
    results = []
    for number, (choice, plan) in enumerate(tried, 1):
        if rank() == 0:
            print(f"candidate {number}/{len(tried)}: {_words(choice)}", flush=True)
        score = train(plan, _folder(run, number))
        if score is None:
            raise UsageError("select needs a model with validation values: this one gives none")
        results.append(score)
    best = min(range(len(results)), key=results.__getitem__)
    if rank() == 0:
        chosen = tried[best][1]
        _adopt(run, _folder(run, best + 1), chosen)
        table = [{"values": c, "validation": s} for (c, _), s in zip(tried, results, strict=True)]
        run.update(selection={"chosen": tried[best][0], "candidates": table})
        print(f"chosen on validation: {_words(tried[best][0])}", flush=True)
    return tried[best][1]


def _folder(run: RunDirectory, number: int) -> RunDirectory:
    return RunDirectory(run.path / "candidates" / str(number))


def _words(choice: Mapping[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in choice.items())


def _adopt(run: RunDirectory, winner: RunDirectory, plan: Plan) -> None:
    """Give the run the winner's weights, curves and settings."""
    shutil.copytree(winner.path / "checkpoints", run.path / "checkpoints", dirs_exist_ok=True)
    write_text(run.curves, winner.curves.read_text())
    write_text(run.config, yaml.safe_dump(plan.composed.record, sort_keys=False))
    run.update(parameters=plan.parameters, generative=plan.generative)
