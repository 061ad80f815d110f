"""``genlab tune``: settings are searched for by the validation value that ``select`` would choose by.

Test data play no part: trials are trained and validated, neither scored nor shown.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genlab.errors import UsageError
from genlab.runs import digest, now, train_command
from genlab.sweeps.attempt import Work
from genlab.sweeps.bench import Bench, new, require_new
from genlab.sweeps.checking import check, require_here
from genlab.sweeps.environment import share
from genlab.sweeps.extras import extra
from genlab.sweeps.points import Point
from genlab.sweeps.space import Space, space
from genlab.sweeps.stopping import Stop
from genlab.sweeps.study import Chosen, Study
from genlab.sweeps.sweep import require_same_words
from genlab.sweeps.table import Table
from genlab.sweeps.trials import Trials
from genlab.targets import trusted_prefixes

MORE = ("evaluate=[]", "gallery=false")  # of every trial
DEFAULTS = {"trials": 20, "sampler": "tpe", "pruner": "median", "seed": 0}


@dataclass(frozen=True)
class Asked:
    """What the command line said; None where it said nothing."""

    trials: int | None = None
    jobs: int = 1
    sampler: str | None = None
    pruner: str | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("jobs", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name} {value} must be at least {least}")

    def over(self, known: dict[str, Any]) -> Chosen:
        return Chosen(**{name: _first(getattr(self, name), known[name]) for name in DEFAULTS})


def start(words: Sequence[str], given: Path | None, asked: Asked) -> int:
    """Search in a new directory, and return the exit code.

    Raises UsageError before anything is written for words that are wrong at a corner of the space, and for
    a model whose last stage validates nothing.
    """
    extra("tune", "optuna", "genlab tune")
    searched, chosen = space(words), asked.over(DEFAULTS)
    require_new("tune", given)
    processes = _checked(searched, words)
    bench = new("tune", given, "tune", digest([*words, asdict(chosen)]))
    with bench.lock():
        table = Table(bench, {"words": list(words), **asdict(chosen), "created": now()})
        table.add([])
        return _search(table, searched, chosen, asked.jobs, processes)


def resume(path: Path, words: Sequence[str], asked: Asked) -> int:
    """Go on with a study: with the trials that are open, then up to as many as were or are asked for.

    Raises UsageError where it was begun with other words or searches in another way.
    """
    extra("tune", "optuna", "genlab tune")
    bench = Bench(path, "tune")
    record = bench.read()
    require_same_words(bench, record["words"], words)
    chosen = asked.over(record)
    for name in ("sampler", "pruner", "seed"):
        if getattr(chosen, name) != record[name]:
            raise UsageError(
                f"{path} was begun with --{name} {record[name]}: leave --{name} out to go on with it"
            )
    with bench.lock():
        searched = space(record["words"])
        processes = _checked(searched, record["words"])
        table = Table(bench, record | {"trials": chosen.trials})
        return _search(table, searched, chosen, asked.jobs, processes)


def _checked(searched: Space, words: Sequence[str]) -> int:
    """How many processes a trial has at most."""
    for word in words:
        key = word.lstrip("+~").split("=")[0]
        if key in ("evaluate", "gallery"):
            raise UsageError(
                f"{word}: trials are validated, neither scored nor shown: give this to the genlab train "
                "that is printed at the end"
            )
    corners = [(*each, *MORE) for each in searched.corners()]
    found = check([Point(number, each) for number, each in enumerate(corners, 1)])
    require_here(found)
    for each in found:
        if not each.validates:
            raise UsageError(
                f"{each.model} validates nothing in its last stage, so that there is no value to search by"
            )
    kinds = sorted({each.data for each in found})
    if len(kinds) > 1:
        raise UsageError(f"trials cannot be compared on different data: {' and '.join(kinds)}")
    return max(each.processes for each in found)


def _search(table: Table, searched: Space, chosen: Chosen, jobs: int, processes: int) -> int:
    bench = table.bench
    work = Work(bench, tuple(trusted_prefixes()), MORE, share(min(jobs, chosen.trials), processes))
    study = Study(bench, chosen)
    with Stop() as stop:
        Trials(study, searched, table, work, jobs).carry_on(stop)
    _say_best(table, study)
    left = chosen.trials - sum(
        row["status"] in ("completed", "pruned", "failed") for row in table.record["points"]
    )
    if left <= 0:
        return int(study.best() is None)
    again = f"genlab tune --resume {shlex.quote(str(bench.path))}"
    print(f"genlab: {left} of {chosen.trials} trials have no end: {again} goes on", file=sys.stderr)
    return stop.exit_code or 1


def _say_best(table: Table, study: Study) -> None:
    best = study.best()
    if best is None:
        print("genlab: no trial has a value yet", file=sys.stderr)
        return
    row, record = table.record["points"][best.number], table.record
    chosen = Point(row["number"], tuple(row["words"])).beside(record["words"])
    print(f"best: trial {row['number']}, {record['monitored']} {row['value']:.6g}: {chosen}")
    print(f"its run, without a test score: {table.bench.path / row['run']}")
    print(train_command({"overrides": row["words"], "trusted": trusted_prefixes()}))


def _first(given: Any, known: Any) -> Any:
    return known if given is None else given
