"""A training that costs nothing, in the place of ``genlab train`` and of the process that checks points.

It keeps run directories, locks, resumes and ends as the real one does, without torch. Its validation value
falls from epoch to epoch to (log10 rate + 2)² + seed / 100. Seed 13 fails, seed 14 is a usage error, seed 15 is
never finite, seed 16 validates nothing. FAKE_SECONDS is how long an epoch takes.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

from genlab.config import compose
from genlab.runs import RunDirectory, create, digest, now, unfinished, write_json, write_text

SEEDS = {"fails": 13, "usage": 14, "nan": 15, "silent": 16}


def install() -> None:
    from genlab.sweeps import attempt, checking

    attempt.PROGRAM = (sys.executable, __file__)
    checking.PROGRAM = (sys.executable, __file__, "check")


def value(config: dict, epoch: int) -> float:
    rate = (config["optimizer"] or {}).get("lr", 1e-3)
    final = (math.log10(rate) + 2) ** 2 + config["seed"] / 100
    return final + 1 / (1 + epoch)


def check() -> None:
    for words in json.load(sys.stdin)["points"]:
        composed = compose(words)
        said = {"settings": digest(composed.record), "processes": 1, "model": "Fake"}
        validates = composed.resolved["seed"] != SEEDS["silent"]
        print(json.dumps({"fingerprint": digest(composed.identity), "validates": validates} | said))


def train(words: list[str]) -> None:
    composed = compose(words)
    config, fingerprint = composed.resolved, digest(composed.identity)
    if config["seed"] == SEEDS["usage"]:
        print("genlab: seed=14: this is no seed", file=sys.stderr)
        sys.exit(2)
    folder = Path(config["folder"])
    run = unfinished(folder, fingerprint)
    if run is None:
        run = create(folder, "fake", fingerprint)
        write_text(run.config, "fake: true\n")
        record = {"schema": 1, "fingerprint": fingerprint, "overrides": words, "stages": ["fit"]}
        write_json(run.record, record | {"status": "running", "sessions": []})
    with run.lock():
        sessions = [*run.read()["sessions"], {"pid": os.getpid(), "started": now()}]
        run.update(status="running", sessions=sessions)
        work(run, config)
        run.update(status="completed", threads=os.environ.get("OMP_NUM_THREADS"))


def work(run: RunDirectory, config: dict) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(interrupted(run)))
    rows = run.curves.read_text().splitlines() if run.curves.is_file() else ["stage,epoch,…"]
    for epoch in range(len(rows) - 1, config["stages"]["fit"]["max_epochs"]):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        shown = "" if config["seed"] == SEEDS["nan"] else repr(value(config, epoch))
        rows.append(f"fit,{epoch},{epoch},val/nll,{shown}")
        if config["seed"] != SEEDS["silent"]:
            write_text(run.curves, "\n".join(rows) + "\n")
        if config["seed"] == SEEDS["fails"]:
            run.update(status="failed")
            print("genlab: the loss is nan", file=sys.stderr)
            sys.exit(1)


def interrupted(run: RunDirectory) -> int:
    run.update(status="interrupted")
    return 130


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check()
    else:
        train([w for w in sys.argv[2 : sys.argv.index("--resume")]])
