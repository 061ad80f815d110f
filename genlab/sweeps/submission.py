"""Points as jobs of a cluster, by submitit.

A job does what the other launchers do in their own place: it starts the process of its point and waits.
A point that is submitted twice, because the parent of its first job was killed, is trained once: the second
job waits for the log of the first and finds the run completed. A job that is preempted or reaches its time
limit ends its process and is queued again, to go on at the last checkpoint.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.override_parser.types import Override

from genlab.config import parse
from genlab.errors import UsageError
from genlab.spelling import suggest
from genlab.sweeps.attempt import GRACE, Attempt, Outcome, Work
from genlab.sweeps.points import Point
from genlab.sweeps.stopping import Stop

MINUTES = 24 * 60  # of a job, where --set timeout_min=… does not say


class Job:
    """What submitit runs on a node."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._attempt: Attempt | None = None

    def __call__(self, point: Point) -> Outcome:
        self._attempt = Attempt(self.work, point)
        with Stop() as stop:
            while (outcome := self._attempt.look()) is None:
                if stop:
                    self._attempt.end(urgent=stop.urgent)
                stop.pause()
        return outcome

    def checkpoint(self, point: Point) -> Any:
        """Called by submitit in the middle of the above, before the time is over: what to queue again."""
        from submitit.helpers import DelayedSubmission

        stop = Stop()
        while self._attempt is not None and self._attempt.look() is None:
            self._attempt.end()
            stop.pause()
        return DelayedSubmission(Job(self.work), point)


def submit_all(
    points: Sequence[Point],
    work: Work,
    stop: Stop,
    begin: Callable[[Point, str], None],
    jobs: int | None,
    options: Mapping[str, Any],
) -> Iterator[tuple[Point, Outcome]]:
    """Submit points, at most ``jobs`` at a time, and yield each with its outcome as its job ends."""
    executor = executor_of(work.bench.path / "submitit", options)
    waiting, running, given_up_at = deque(points), {}, math.inf
    while running or (waiting and not stop):
        while waiting and not stop and len(running) < (jobs or len(points)):
            point = waiting.popleft()
            begin(point, "submitted")
            running[point] = executor.submit(Job(work), point)
        if stop and given_up_at == math.inf:
            given_up_at = time.monotonic() + GRACE
            for job in running.values():
                job.cancel(check=False)
        for point, job in list(running.items()):
            if job.done() or time.monotonic() > given_up_at:
                del running[point]
                yield point, _outcome(job, stop)
        stop.pause()


def require_sound(options: Mapping[str, Any]) -> None:
    """Raise UsageError for options that submitit refuses, before anything is written."""
    with TemporaryDirectory() as folder:
        executor_of(Path(folder), options)


def executor_of(folder: Path, options: Mapping[str, Any]) -> Any:
    """submitit's own, with ``--set`` options. Raises UsageError for those that it refuses."""
    import submitit

    rest = {"timeout_min": MINUTES, "name": "genlab"} | dict(options)
    cluster = rest.pop("cluster", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            executor = submitit.AutoExecutor(folder, cluster=cluster)
            executor.update_parameters(**rest)
    except (NameError, AssertionError, TypeError, ValueError, RuntimeError, Warning) as error:
        raise UsageError(f"--set: submitit refuses this: {str(error).splitlines()[0]}") from None
    if cluster is None and executor.cluster != "slurm":
        raise UsageError(
            "--launcher submitit: there is no SLURM here (no srun): choose --launcher joblib, or add --set "
            "cluster=local for submitit's own processes on this machine"
        )
    return executor


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """``--set`` words as submitit's options: ``timeout_min=60`` is a number.

    Raises UsageError for what is not key=value and for options that set what a point is already.
    """
    found: dict[str, Any] = {}
    for word in words:
        if "=" not in word:
            raise UsageError(f"--set {word}: expected key=value, such as timeout_min=60")
        override: Override = parse(word, word)
        key = override.key_or_group
        if override.is_sweep_override() or key in ("nodes", "tasks_per_node"):
            known = ("cluster", "timeout_min", "gpus_per_node", "cpus_per_task", "mem_gb")
            raise UsageError(f"--set {word}: a job is one process on one node{suggest(key, known)}")
        found[key] = override.value()
    return found


def _outcome(job: Any, stop: Stop) -> Outcome:
    try:
        return job.result() if job.done() else Outcome("interrupted")
    except Exception as error:  # submitit's own, of a job that left no result
        if stop:
            return Outcome("interrupted")
        return Outcome("failed", error=f"job {job.job_id}: {str(error).strip().splitlines()[0]}")
