"""The trials of a study as processes: begun, watched, ended early where that is worth it, and told of.

One parent holds the study, so that its file has one writer; several trials are several processes.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genlab.config import compose
from genlab.errors import GenlabError, PluginError, UsageError
from genlab.runs import digest
from genlab.sweeps.attempt import Attempt, Outcome, Work
from genlab.sweeps.curve import Curve, curve
from genlab.sweeps.points import Point
from genlab.sweeps.space import Space
from genlab.sweeps.stopping import Stop
from genlab.sweeps.study import Study
from genlab.sweeps.table import Table

if TYPE_CHECKING:
    from optuna.trial import Trial


@dataclass
class Candidate:
    """A trial at work. pruned: whether its values so far are not worth going on.

    followers: trials with the same settings, which end as it does.
    """

    trial: Trial
    point: Point
    attempt: Attempt
    reported: int = 0
    pruned: bool = False
    curve: Curve | None = None
    followers: list[tuple[Trial, Point]] = field(default_factory=list)
    _seen: int = 0

    def watch(self) -> None:
        """Tell the trial of new validations, one after the other, until the study would end it."""
        run = self.attempt.run
        if run is None or not run.curves.is_file() or run.curves.stat().st_mtime_ns == self._seen:
            return
        self._seen = run.curves.stat().st_mtime_ns
        self.curve = curve(run)
        values = self.curve.values if self.curve else ()
        for step, value in enumerate(values[self.reported :], self.reported + 1):
            if self.pruned:
                return
            self.reported = step
            if math.isfinite(value):
                self.trial.report(value, step)
                self.pruned = self.trial.should_prune()


class Trials:
    """Those of one study, ``jobs`` at a time."""

    def __init__(self, study: Study, space: Space, table: Table, work: Work, jobs: int) -> None:
        self.study, self.space, self.table, self.work, self.jobs = study, space, table, work, jobs
        self._open = deque(study.open())
        self._active: list[Candidate] = []

    def carry_on(self, stop: Stop) -> None:
        """Until there are as many trials as were asked for, or somebody asks to stop.

        Raises the error of a trial whose words are wrong; every process is ended first.
        """
        try:
            while True:
                while not stop and self._busy() < self.jobs and (trial := self._next()):
                    self._take(trial)
                if not self._active:
                    return
                for candidate in list(self._active):
                    self._look(candidate, stop)
                stop.pause()
        finally:
            self._end_all(stop)

    def _busy(self) -> int:
        return sum(1 + len(candidate.followers) for candidate in self._active)

    def _next(self) -> Trial | None:
        """One that an earlier parent left open, before a new one."""
        if self._open:
            return self.study.again(self._open.popleft())
        return None if self.study.full else self.study.ask()

    def _take(self, trial: Trial) -> None:
        words = self.space.suggest(trial)
        try:
            identity = compose([*words, *self.work.more]).identity
        except GenlabError:
            self.study.fail(trial)
            raise
        point = Point(trial.number + 1, words, digest(identity))
        twin = self.table.ended_before(point)
        self.table.add([point])
        if twin is not None:
            self._tell(trial, point, {"as": twin["number"]} | twin)
            return
        for candidate in self._active:
            if candidate.point.fingerprint == point.fingerprint:
                candidate.followers.append((trial, point))
                return
        self.table.note(point, "running")
        self._active.append(self._candidate(trial, point))

    def _candidate(self, trial: Trial, point: Point) -> Candidate:
        candidate = Candidate(trial, point, Attempt(self.work, point))
        before = self.study.reported(trial)
        if before:  # it goes on from what an earlier parent was told
            candidate.reported = max(before)
            candidate.pruned = trial.should_prune()
        return candidate

    def _look(self, candidate: Candidate, stop: Stop) -> None:
        self._watch(candidate)
        if stop or candidate.pruned:
            candidate.attempt.end(urgent=stop.urgent)
        outcome = candidate.attempt.look()
        if outcome is None:
            return
        self._watch(candidate)  # what it wrote last
        self._active.remove(candidate)
        self._end(candidate, outcome)

    def _watch(self, candidate: Candidate) -> None:
        candidate.watch()
        if candidate.curve is None:
            return
        name = candidate.curve.name
        known = self.table.record.setdefault("monitored", name)
        if known != name:
            raise UsageError(
                f"tune cannot compare {known} with {name}: search over models that validate one thing"
            )

    def _end(self, candidate: Candidate, outcome: Outcome) -> None:
        result = self._result(candidate, outcome)
        self.table.ended(candidate.point, outcome, **result)
        row = self.table.row(candidate.point)
        self._tell(candidate.trial, candidate.point, row)
        for trial, point in candidate.followers:
            self._tell(trial, point, row | {"as": candidate.point.number})
        if result["status"] == "failed" and outcome.exit_code in (2, 3):
            kind = UsageError if outcome.exit_code == 2 else PluginError
            raise kind(f"trial {candidate.point.number} ({candidate.point}): {outcome.error}")

    def _result(self, candidate: Candidate, outcome: Outcome) -> dict[str, Any]:
        """What is added to an outcome: status, value, validations."""
        found, status, value, error = candidate.curve, outcome.status, None, outcome.error
        if candidate.pruned:
            status, error = "pruned", ""
            value = None if found is None else found.values[candidate.reported - 1]
        elif status == "completed":
            if found is None:
                raise UsageError("tune needs a model with validation values: this one gives none")
            value = found.best
            if value is None:
                status, error = "failed", f"{found.name} was never finite"
        elif (outcome.exit_code or 0) < 0:
            status = "interrupted"  # by somebody else: it is not known how it would have ended
        return {"status": status, "value": value, "validations": candidate.reported, "error": error}

    def _tell(self, trial: Trial, point: Point, row: Mapping[str, Any]) -> None:
        """Write down how it ended, tell the study and say so. One that was interrupted stays open."""
        if row["number"] != point.number:
            kept = ("run", "exit_code", "error", "value", "validations", "as")
            self.table.note(point, row["status"], **{name: row.get(name) for name in kept})
        status = row["status"]
        if status == "completed":
            self.study.complete(trial, row["value"])
        elif status == "pruned":
            self.study.prune(trial)
        elif status == "failed":
            self.study.fail(trial)
        self._say(point, row)

    def _say(self, point: Point, row: Mapping[str, Any]) -> None:
        of, name = self.study.chosen.trials, self.table.record.get("monitored", "value")
        searched = point.beside(self.table.record["words"])
        value = "" if row["value"] is None else f" {name} {row['value']:.6g}"
        same = f" as trial {row['as']}" if "as" in row else ""
        line = f"trial {point.number}/{of} {row['status']}{same}:{value} {searched}"
        if row["status"] == "pruned":
            line += f" (at validation {row['validations']})"
        if not row["error"]:
            print(line, flush=True)
            return
        log = self.table.bench.log(row.get("as", row["number"]))
        print(f"genlab: {line}: {row['error']}; its log is {log}", file=sys.stderr, flush=True)

    def _end_all(self, stop: Stop) -> None:
        """Of processes that are left where something went wrong; their trials stay open."""
        while self._active:
            for candidate in list(self._active):
                candidate.attempt.end(urgent=stop.urgent)
                outcome = candidate.attempt.look()
                if outcome is not None:
                    self._active.remove(candidate)
                    self.table.ended(candidate.point, outcome)
            stop.pause()
