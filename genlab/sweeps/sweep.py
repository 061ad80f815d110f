"""``genlab sweep``: every point that the words stand for is trained, and what became of it recorded."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from genlab.errors import UsageError
from genlab.runs import digest, now
from genlab.sweeps.attempt import Outcome, Work
from genlab.sweeps.bench import Bench, new, require_new
from genlab.sweeps.checking import Checked, check, require_here
from genlab.sweeps.environment import share
from genlab.sweeps.launchers import Launcher
from genlab.sweeps.points import Point, product
from genlab.sweeps.stopping import Stop
from genlab.sweeps.table import Table
from genlab.targets import trusted_prefixes


def start(words: Sequence[str], given: Path | None, launcher: Launcher) -> int:
    """Train every point of the words in a new directory, and return the exit code.

    Raises UsageError before anything is written where the words or one of their points are wrong.
    """
    points = [Point(number, each) for number, each in enumerate(product(words), 1)]
    require_new("sweep", given)
    checked = distinct(check(points), words)
    if launcher.is_here:
        require_here(checked)
    bench = new("sweep", given, "sweep", digest(list(words)))
    with bench.lock():
        table = Table(bench, {"words": list(words), "created": now()})
        return _train(table, checked, launcher)


def resume(path: Path, words: Sequence[str], launcher: Launcher) -> int:
    """Train the points that are not completed, or whose runs are gone; the words may be left out.

    Raises UsageError where it was begun with others.
    """
    bench = Bench(path, "sweep")
    record = bench.read()
    require_same_words(bench, record["words"], words)
    with bench.lock():
        table = Table(bench, record)
        left = [point for point in table.points() if not table.has_run(point)]
        print(f"{len(table.points()) - len(left)} of {len(table.points())} points are completed")
        checked = check(left) if left else []
        if launcher.is_here:
            require_here(checked)
        return _train(table, checked, launcher)


def require_same_words(bench: Bench, before: Sequence[str], given: Sequence[str]) -> None:
    """Raise UsageError where words are given and differ from those that it was begun with."""
    if not given or list(given) == list(before):
        return
    then = [word for word in before if word not in given]
    instead = [word for word in given if word not in before]
    if not then and not instead:
        then, instead = list(before), list(given)
    raise UsageError(
        f"{bench.path} was begun with {shlex.join(then) or 'less'} and you gave "
        f"{shlex.join(instead) or 'less'}: leave the words out to go on with it"
    )


def distinct(found: Sequence[Checked], words: Sequence[str]) -> list[Checked]:
    """Points of the words without those whose settings are another's, numbered anew. Says so.

    Raises UsageError for two that differ in what decides no weights alone: they would be one run.
    """
    first: dict[str, Checked] = {}
    for each in found:
        twin = first.setdefault(each.point.fingerprint, each)
        if twin is each:
            continue
        two = [f"{one.point.number} ({one.point.beside(words)})" for one in (twin, each)]
        pair = f"points {' and '.join(two)}"
        if twin.settings != each.settings:
            raise UsageError(
                f"{pair} would have the same weights: sweep over what decides them, and give the rest to "
                "genlab evaluate or to another sweep"
            )
        print(f"{pair} have the same settings: trained once")
    numbered = enumerate(first.values(), 1)
    return [replace(each, point=replace(each.point, number=n)) for n, each in numbered]


def _train(table: Table, checked: Sequence[Checked], launcher: Launcher) -> int:
    points = [each.point for each in checked]
    table.add(points)
    processes = max((each.processes for each in checked), default=1)
    threads = share(min(launcher.jobs or 1, len(points)), processes) if launcher.is_here else None
    work = Work(table.bench, tuple(trusted_prefixes()), threads=threads)
    with Stop() as stop:
        for point, outcome in launcher.launch(points, work, stop, table.note):
            table.ended(point, outcome)
            _say(table, point, outcome)
    return _end(table, stop)


def _say(table: Table, point: Point, outcome: Outcome) -> None:
    words = point.beside(table.record["words"])
    line = f"point {point.number}/{len(table.points())} {outcome.status}: {words}"
    if outcome.status != "failed":
        print(line, flush=True)
        return
    log = table.bench.log(point.number)
    print(f"genlab: {line}: {outcome.error}; its log is {log}", file=sys.stderr, flush=True)


def _end(table: Table, stop: Stop) -> int:
    found = [table.status(point) for point in table.points()]
    path = shlex.quote(str(table.bench.path))
    if "completed" in found:
        print(f"genlab compare {path}/runs/*")
    if found.count("completed") == len(found):
        return 0
    left = f"{len(found) - found.count('completed')} of {len(found)} points are not completed"
    print(f"genlab: {left}: genlab sweep --resume {path} goes on", file=sys.stderr)
    return stop.exit_code or 1
