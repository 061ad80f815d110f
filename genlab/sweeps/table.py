"""The points in the record of a bench: the words of each, how far it is, and how it ended.

number, words, fingerprint, status   pending, submitted, running, completed, failed, interrupted
run, exit_code, error                once it ended, run relative to the bench
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from genlab.runs import RunDirectory
from genlab.sweeps.attempt import Outcome
from genlab.sweeps.bench import Bench
from genlab.sweeps.points import Point


class Table:
    """The points in the record of a bench; every change is written at once, from whichever thread."""

    def __init__(self, bench: Bench, record: dict[str, Any]) -> None:
        self.bench, self.record = bench, {"points": []} | record
        self._lock = threading.Lock()

    def points(self) -> list[Point]:
        return [
            Point(row["number"], tuple(row["words"]), row["fingerprint"])
            for row in self.record["points"]
        ]

    def status(self, point: Point) -> str:
        return self.row(point)["status"]

    def has_run(self, point: Point) -> bool:
        """Whether it is completed, and its run still there."""
        row = self.row(point)
        run = self.bench.path / str(row.get("run"))
        return row["status"] == "completed" and RunDirectory(run).record.is_file()

    def ended_before(self, point: Point) -> dict[str, Any] | None:
        """The row of another point with the same settings that has its end."""
        ends = ("completed", "pruned", "failed")
        for row in self.record["points"]:
            same = row["fingerprint"] == point.fingerprint and row["number"] != point.number
            if same and row["status"] in ends:
                return row
        return None

    def add(self, points: Iterable[Point]) -> None:
        """As pending: new ones, and those that are to be attempted again."""
        with self._lock:
            rows = {row["number"]: row for row in self.record["points"]}
            for point in points:
                fresh = {"number": point.number, "words": list(point.words)}
                rows[point.number] = fresh | {"fingerprint": point.fingerprint, "status": "pending"}
            self.record["points"] = [rows[number] for number in sorted(rows)]
            self.bench.write(self.record)

    def note(self, point: Point, status: str, **more: Any) -> None:
        with self._lock:
            self.row(point).update(status=status, **more)
            self.bench.write(self.record)

    def ended(self, point: Point, outcome: Outcome, **more: Any) -> None:
        """An outcome; its run is written relative to the bench."""
        run = outcome.run and str(outcome.run.relative_to(self.bench.path))
        found: dict[str, Any] = asdict(outcome) | {"run": run} | more
        self.note(point, found.pop("status"), **found)

    def row(self, point: Point) -> dict[str, Any]:
        return next(row for row in self.record["points"] if row["number"] == point.number)
