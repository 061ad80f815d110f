"""A training that costs nothing, in the place of ``genlab train`` and of the process that checks points.

It keeps run directories, locks, resumes and ends as the real one does, without torch. Its validation value
falls to (log10 rate + 2)² + seed / 100, and rises a little in the last epoch. Seed 13 fails, seed 14 is a
usage error, seed 15 is never finite, seed 16 validates nothing, seed 17 something else. FAKE_SECONDS is
how long an epoch takes, FAKE_STUBBORN makes it deaf to SIGTERM.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.runs import RunDirectory, create, unfinished, write_json, write_text

if TYPE_CHECKING:
    from genlab.sweeps.attempt import Work
    from genlab.sweeps.points import Point

FAILS, USAGE, NAN, SILENT, OTHER, LACKING = 13, 14, 15, 16, 17, 18


def install(replace: Any = setattr) -> None:
    """Make them what a sweep uses. replace: how an attribute is set."""
    from genlab.sweeps import attempt, checking

    command = attempt.Work.command

    def fake(work: Work, point: Point) -> list[str]:
        """The command of the real one, with what that would compose as its last word."""
        given = dict(word.split("=", 1) for word in point.words)
        facts = {
            "fingerprint": point.fingerprint,
            "folder": str(work.bench.runs),
            "seed": int(given.get("seed", 0)),
            "epochs": int(given["stages.fit.max_epochs"]),
            "rate": float(given.get("optimizer.lr", 1e-3)),
        }
        return [*command(work, point), json.dumps(facts)]

    replace(attempt, "PROGRAM", (sys.executable, __file__))
    replace(attempt.Work, "command", fake)
    replace(checking, "answers", answers)


def answers(points: Iterable[Point]) -> Iterator[dict[str, Any]]:
    from genlab.config import compose
    from genlab.runs import digest

    for point in points:
        found = compose(point.words)
        said = {"settings": digest(found.record), "processes": 1, "model": "Fake"}
        said["data"] = found.choices["data"]
        said["lacking"] = "there is no such GPU" if found.resolved["seed"] == LACKING else ""
        validates = found.resolved["seed"] != SILENT
        yield {"fingerprint": digest(found.identity), "validates": validates} | said


def train(words: list[str], facts: dict[str, Any]) -> None:
    if facts["seed"] == USAGE:
        print("genlab: seed=14: this is no seed", file=sys.stderr)
        sys.exit(2)
    folder = Path(facts["folder"])
    run = unfinished(folder, facts["fingerprint"])
    if run is None:
        run = create(folder, "fake", facts["fingerprint"])
        write_text(run.config, "fake: true\n")
        record = {"schema": 1, "fingerprint": facts["fingerprint"], "overrides": words}
        record |= {"seed": facts["seed"], "spec": {"name": "fake", "variant": "fake"}}
        write_json(run.record, record | {"stages": ["fit"], "status": "running", "sessions": []})
    with run.lock():
        sessions = [*run.read()["sessions"], {"pid": os.getpid(), "clock": time.time()}]
        run.update(status="running", sessions=sessions)
        work(run, facts)
        run.update(status="completed", omp=os.environ.get("OMP_NUM_THREADS"))


def work(run: RunDirectory, facts: dict[str, Any]) -> None:
    stubborn = "FAKE_STUBBORN" in os.environ
    handler = signal.SIG_IGN if stubborn else lambda *_: sys.exit(interrupted(run))
    signal.signal(signal.SIGTERM, handler)
    rows = run.curves.read_text().splitlines() if run.curves.is_file() else ["stage,epoch,…"]
    final = (math.log10(facts["rate"]) + 2) ** 2 + facts["seed"] / 100
    for epoch in range(len(rows) - 1, facts["epochs"]):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        value = final + 1 / (1 + epoch) + 0.5 * (epoch == facts["epochs"] - 1)
        shown = "" if facts["seed"] == NAN else repr(value)
        name = "val/mmd" if facts["seed"] == OTHER else "val/nll"
        rows.append(f"fit,{epoch},{epoch},{name},{shown}")
        if facts["seed"] != SILENT:
            write_text(run.curves, "\n".join(rows) + "\n")
        if facts["seed"] == FAILS:
            run.update(status="failed")
            print("genlab: the loss is nan", file=sys.stderr)
            sys.exit(1)


def interrupted(run: RunDirectory) -> int:
    run.update(status="interrupted")
    return 130


if __name__ == "__main__":
    train(sys.argv[2 : sys.argv.index("--resume")], json.loads(sys.argv[-1]))
