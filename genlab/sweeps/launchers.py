"""Where the points of a sweep are trained, and how many at a time.

    basic     here, one after the other
    joblib    here, several at a time
    submitit  as jobs of a cluster

A launcher is called with points and yields each with its outcome as it ends. One that was told to stop ends
what it began, yields that as interrupted, and begins nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genlab.errors import UsageError
from genlab.runs import cpus
from genlab.sweeps.attempt import Outcome, Work, carry_out
from genlab.sweeps.extras import extra
from genlab.sweeps.points import Point
from genlab.sweeps.stopping import Stop
from genlab.sweeps.submission import require_sound, submit_all

Begin = Callable[[Point, str], None]  # told of a point that is about to be "running" or "submitted"
Ended = Iterator[tuple[Point, Outcome]]


@dataclass(frozen=True)
class Launcher:
    """A launcher by its name. jobs: points at a time; None for as many as the cluster lets run.

    options: of submitit alone.
    """

    name: str
    jobs: int | None
    options: Mapping[str, Any]

    @property
    def is_here(self) -> bool:
        """Whether points are trained on this machine."""
        return self.name != "submitit"

    def launch(self, points: Sequence[Point], work: Work, stop: Stop, begin: Begin) -> Ended:
        if self.name == "submitit":
            return submit_all(points, work, stop, begin, self.jobs, self.options)
        if self.name == "joblib":
            return _several(points, work, stop, begin, self.jobs or 1)
        return _in_turn(points, work, stop, begin)


def choose(name: str | None, jobs: int | None, options: Mapping[str, Any]) -> Launcher:
    """The launcher that was asked for: without a name basic, or joblib for several jobs.

    Raises UsageError for what does not go together, and where a package is missing.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs} must be at least 1")
    name = name or ("basic" if jobs in (None, 1) else "joblib")
    if name == "basic" and jobs not in (None, 1):
        raise UsageError(
            f"--jobs {jobs}: basic trains one point after the other; type --launcher joblib"
        )
    if options and name != "submitit":
        raise UsageError("--set …: these are options of submitit: add --launcher submitit")
    if name != "basic":
        extra("sweep", name, f"--launcher {name}")
    if name == "submitit":
        require_sound(options)
    if name == "joblib" and jobs is None:
        jobs = cpus()
    return Launcher(name, 1 if name == "basic" else jobs, options)


def _in_turn(points: Sequence[Point], work: Work, stop: Stop, begin: Begin) -> Ended:
    for point in points:
        if stop:
            return
        begin(point, "running")
        yield point, carry_out(work, point, stop)


def _several(points: Sequence[Point], work: Work, stop: Stop, begin: Begin, jobs: int) -> Ended:
    """Threads, as each has only to wait for a process."""
    from joblib import Parallel, delayed

    def attempt(point: Point) -> tuple[Point, Outcome | None]:
        if stop:
            return point, None
        begin(point, "running")
        return point, carry_out(work, point, stop)

    parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    for point, outcome in parallel(delayed(attempt)(point) for point in points):  # type: ignore[union-attr]
        if outcome is not None:
            yield point, outcome
