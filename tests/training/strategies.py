"""``python -m tests.training.strategies FOLDER``: families on two processes, by each strategy.

In FOLDER/FAMILY/STRATEGY it leaves the runs; in FOLDER/BEFORE-AFTER those that one strategy began and
another ended; in FOLDER/kept how much each process held of the weights, and of the averages of Adam.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import genlab
from genlab.api import Plan
from genlab.interrupts import Interrupted
from genlab.runs import write_json
from genlab.targets import allow_targets
from genlab.testing.witness import Witness
from genlab.training import stopping
from tests.training.test_families import FAMILIES

STRATEGIES = ("ddp", "fsdp", "deepspeed")
CHANGES = (("ddp", "fsdp"), ("fsdp", "deepspeed"), ("deepspeed", "ddp"))
CHOSEN = ("made", "unet", "draw", "gmmn_ae", "rbm", "dbn", "deep_autoencoder")
STEPS = 12  # of each stage, more than an epoch
ON_CPU = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.threads=1", "evaluate=[]"]


class Kept(Witness):
    """What this process has of a run that it trains, where no stage begins with another's averages."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        averages = [
            _own(s["exp_avg"]) for s in trainer.optimizers[0].state.values() if "exp_avg" in s
        ]
        parameters = list(module.parameters())
        seen = {
            "all": sum(p.numel() for p in parameters),
            "weights": sum(_own(p) for p in parameters),
            "averages": sum(averages),
        }
        write_json(self.file.with_suffix(f".{trainer.global_rank}.json"), seen)


def _own(x: Any) -> int:
    return x.to_local().numel() if hasattr(x, "to_local") else x.numel()


def words(family: str) -> list[str]:
    """Without averaged weights, which ``fsdp`` does not have. Of a convolution Adam would make much of the
    rounding."""
    given = FAMILIES[family]
    if family == "unet":
        given = [*given, "optimizer=sgd", "optimizer.lr=1e-4"]
    trained = [stage.name for stage in Plan(given).stages if stage.solve is None]
    options = [
        f"stages.{stage}.{key}" for stage in trained for key in (f"max_steps={STEPS}", "ema=0")
    ]
    return [*given, *options, *ON_CPU]


def main(folder: Path) -> None:
    allow_targets(["genlab.testing.witness.", "tests.training.strategies."])
    for family in CHOSEN:
        for strategy in STRATEGIES:
            own = [f"trainer.strategy={strategy}", f"folder={folder / family / strategy}"]
            if family == "draw":
                own += ["+callbacks.kept._target_=tests.training.strategies.Kept"]
                own += [f"+callbacks.kept.file={folder / 'kept' / strategy}"]
            genlab.train(*words(family), *own)
    for before, after in CHANGES:
        _change(folder / f"{before}-{after}", before, after)


def _change(folder: Path, before: str, after: str) -> None:
    """In the middle of a stage that trains a part of the model."""
    stopping.SECONDS = 0.0  # processes agree on stopping after every step
    witness = "+callbacks.witness._target_=genlab.testing.witness.Witness"
    own = [*words("dbn"), witness, f"folder={folder}"]
    Witness.to_stop.add("rbm2")
    with suppress(Interrupted):
        genlab.train(*own, f"trainer.strategy={before}")
    genlab.train(*own, f"trainer.strategy={after}", resume="auto")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
