"""How a training is judged while it goes on: the monitored values of its last stage, out of metrics.csv.

They are those by which ``best.ckpt`` is chosen, and ``select`` chooses.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

from genlab.errors import UsageError
from genlab.runs import RunDirectory


@dataclass(frozen=True)
class Curve:
    """name: of what is monitored. values: one for each validation so far, NaN among them."""

    name: str
    values: tuple[float, ...]

    @property
    def best(self) -> float | None:
        """The lowest; None where none is finite."""
        finite = [value for value in self.values if math.isfinite(value)]
        return min(finite, default=None)


def curve(run: RunDirectory) -> Curve | None:
    """Of the last stage of a run; None where it was not validated yet."""
    try:
        stage = run.read()["stages"][-1]
        with run.curves.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row[0] == stage and row[3][:4] == "val/"]
    except (UsageError, FileNotFoundError):  # it has only begun
        return None
    if not rows:
        return None
    name = rows[0][3]
    return Curve(name, tuple(float(row[4] or "nan") for row in rows if row[3] == name))
