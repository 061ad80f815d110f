"""Settings chosen on validation data: ``select: {optimizer.weight_decay: [0.01, 0.1]}``.

Each combination is trained in turn, in a folder of its own below the run; the one whose last stage has the
lowest validation value becomes the run. Test data play no part. One that diverges is out of the choice and
stays in the record: that some settings fail may be what an experiment is to show.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from genlab.api.plan import Plan
from genlab.config import notation
from genlab.contracts import DataSpec, GenlabError, UsageError
from genlab.options import GROUPS
from genlab.rank import rank
from genlab.runs import RunDirectory, write_text
from genlab.shapes import MAYBE, require
from genlab.training import NonFinite, Validation
from genlab.trust import read_text

Train = Callable[[Plan, RunDirectory], Validation | None]
CANDIDATE = {"values": dict, "validation": MAYBE, "reason?": str, "name?": str}
Tried = Sequence[tuple[dict[str, Any], Plan]]


def candidates(plan: Plan) -> list[tuple[dict[str, Any], Plan]]:
    """Every combination of the values in ``select`` and the plan it makes; one, if there is no choice.

    A key that was given on the command line is not chosen anew.
    Raises UsageError where ``select`` is not a mapping of keys to lists, or chooses between data.
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
    tried = [(choice, _plan_of(plan, choice)) for choice in choices]
    kinds = sorted({kind_of(each.data.spec) for each in (plan, *(p for _, p in tried))})
    if len(kinds) > 1:
        raise UsageError(f"select cannot choose between different data: {' and '.join(kinds)}")
    return tried


def kind_of(spec: DataSpec) -> str:
    """What numbers of two models must have in common to be compared, in words."""
    return f"{spec.name} ({spec.variant}) of shape {spec.shape}"


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
    words = [_word(key, value) for key, value in choice.items()]
    return Plan([*plan.words, *words, "select=null"])


def train_the_best(tried: Tried, run: RunDirectory, train: Train) -> Plan:
    """Train every candidate, make the best the run, and return its plan with the weights of then.

    train: fits a plan in a directory, resuming what is there, and says how its last stage was judged.
    What is known of a candidate stands in the run record as soon as it ends; it is not trained again.
    Raises UsageError for a model without validation values, GenlabError where every candidate diverged.
    """
    known = _known(run, len(tried))
    for number, (choice, plan) in enumerate(tried[len(known) :], len(known) + 1):
        _say(f"candidate {number}/{len(tried)}: {_words(choice)}")
        known = [*known, {"values": choice} | _outcome(train, plan, _folder(run, number))]
        _require_one_value(known)
        _record(run, tried, known)
    finite = [i for i, found in enumerate(known) if found["validation"] is not None]
    if not finite:
        raise GenlabError(f"no candidate of select has a finite value: {known[-1].get('reason')}")
    best = min(finite, key=lambda i: known[i]["validation"])
    choice, plan = tried[best]
    train(plan, _folder(run, best + 1))  # which is finished, and gives the plan's model its weights
    if rank() == 0:
        _adopt(run, _folder(run, best + 1), plan)
    _record(run, tried, known, choice)
    _say(f"chosen on validation: {_words(choice)}")
    return plan


def _known(run: RunDirectory, most: int) -> list[dict[str, Any]]:
    """What the record says of the first candidates. Raises UsageError where it is of other things."""
    found = (run.read().get("selection") or {}).get("candidates", [])
    try:
        require(found, [CANDIDATE], "selection.candidates")
    except TypeError as error:
        raise UsageError(f"{run.record} is not what a run writes ({error}): train anew") from None
    if len(found) > most:
        raise UsageError(f"{run.record} has {len(found)} candidates of {most}: train anew")
    return found


def _outcome(train: Train, plan: Plan, folder: RunDirectory) -> dict[str, Any]:
    """The validation value of a candidate and its name, or why it has none."""
    try:
        found = train(plan, folder)
    except NonFinite as error:
        return {"validation": None, "reason": error.what}
    if found is None:
        raise UsageError("select needs a model with validation values: this one gives none")
    if found.value is None:
        return {"validation": None, "reason": f"{found.name} was never finite", "name": found.name}
    return {"validation": found.value, "name": found.name}


def _require_one_value(known: Sequence[Mapping[str, Any]]) -> None:
    names = sorted({found["name"] for found in known if "name" in found})
    if len(names) > 1:
        raise UsageError(
            f"select cannot compare {' with '.join(names)}: its candidates differ in it"
        )


def _record(
    run: RunDirectory,
    tried: Tried,
    known: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Any] | None = None,
) -> None:
    if rank() == 0:
        run.update(selection={"of": len(tried), "chosen": chosen, "candidates": list(known)})


def _say(line: str) -> None:
    if rank() == 0:
        print(line, flush=True)


def _folder(run: RunDirectory, number: int) -> RunDirectory:
    return RunDirectory(run.path / "candidates" / str(number))


def _words(choice: Mapping[str, Any]) -> str:
    return " ".join(_word(key, value) for key, value in choice.items())


def _word(key: str, value: Any) -> str:
    return f"{key}={value if key in GROUPS else notation(value)}"


def _adopt(run: RunDirectory, winner: RunDirectory, plan: Plan) -> None:
    """Give the run the winner's weights, curves and settings."""
    shutil.copytree(winner.checkpoints, run.checkpoints, dirs_exist_ok=True)
    write_text(run.curves, read_text(winner.curves))
    write_text(run.config, yaml.safe_dump(plan.composed.record, sort_keys=False))
    run.update(**plan.about_model)
