"""Runs on two processes, one after the other in one launch: trained, drawn from, stopped and resumed.

``python -m genlab.testing.pair FOLDER`` is what ``check_processes`` starts; ``asked.json`` there holds the
words of each run by its name. In FOLDER/NAME it leaves the runs ``undisturbed`` and ``resumed``, and what
each process has seen: ``rank-0.json``, ``rank-1.json``, and its samples beside.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genlab.api import Plan, train
from genlab.contracts import UsageError
from genlab.interrupts import Interrupted
from genlab.rank import rank
from genlab.runs import write_json
from genlab.targets import allow_targets
from genlab.testing.check import describe
from genlab.testing.witness import STOP, Witness
from genlab.training import stopping
from genlab.trust import read_json

STEPS = STOP + 2  # of each stage
DRAWN = 70  # samples: more than one block
WORDS = (
    "trainer=ddp_cpu",
    "trainer.devices=2",
    "trainer.threads=1",
    "gallery=false",
    "evaluate=[test]",
    "+callbacks.witness._target_=genlab.testing.witness.Witness",
)


def main(folder: Path) -> None:
    asked = read_json(folder / "asked.json")
    allow_targets(["genlab.testing.witness.", *asked["trusted"]])
    stopping.SECONDS = 0.0  # processes agree on stopping after every step
    for name, words in asked["runs"].items():
        try:
            _make(folder / name, words)
        except Exception as error:
            fault = str(error) if isinstance(error, UsageError) else describe(error)
            write_json(folder / name / f"rank-{rank()}.json", {"fault": fault})
            raise


def _make(folder: Path, own: Sequence[str]) -> None:
    start = time.perf_counter()
    Witness.seen.clear()
    words = [*WORDS, *own]
    trained = [stage.name for stage in Plan(words).stages if stage.solve is None]
    words += [f"stages.{stage}.max_steps={STEPS}" for stage in trained]
    made = train(*words, f"folder={folder / 'undisturbed'}")
    if made.generative:
        np.savez(folder / f"rank-{rank()}.npz", x=made.sample(DRAWN, seed=0).cpu().numpy())
    if trained:
        _stop_and_resume([*words, "evaluate=[]", f"folder={folder / 'resumed'}"], trained)
    seconds = time.perf_counter() - start
    left = {"weights": Witness.seen, "trained": trained, "seconds": seconds}
    write_json(folder / f"rank-{rank()}.json", left)


def _stop_and_resume(words: Sequence[str], stages: Sequence[str]) -> None:
    """Once in each stage."""
    Witness.to_stop.update(stages)
    resume = None
    while True:
        try:
            train(*words, resume=resume)
        except Interrupted:
            resume = "auto"
        else:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
