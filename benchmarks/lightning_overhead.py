"""What does genlab cost a training epoch, beside a plain PyTorch loop with the same mathematics?

  python benchmarks/lightning_overhead.py [EPOCHS]

Required: at most 1.15 times the plain loop, for MADE 784-500-784 with direct connections in batches of
100, on one thread.

Everything runs in one process. ``genlab.train`` trains with all its own callbacks; before each of its
epochs the plain loop takes the same epoch with a second copy of the model: the same loss, masks, order
of the data, learning rates and fused Adam. At the end both must hold the same weights bit by bit. Times
are medians over epochs after the first, ratios medians of each epoch's own ratio. A genlab epoch runs
from the start of the epoch to the start of validation; the last line adds validation and checkpoints.
Data: mnist_binary where GENLAB_DATA is set, else random bits of the same shape.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import genlab  # sets OMP_WAIT_POLICY before torch is imported

# isort: split
import torch
from pytorch_lightning import Callback, Trainer
from reporting import random_bits, table, verdict

from genlab.api import Plan
from genlab.contracts import Batch
from genlab.contracts.training import LR_SCHEDULES
from genlab.randomness import generator
from genlab.targets import allow_targets
from genlab.training.fit import first_rows

REQUIRED = 1.15


class PlainLoop:
    """The loop that one writes without a framework."""

    def __init__(self, words: Sequence[str], epochs: int) -> None:
        plan = Plan(words)
        self.model, self.batch_size, self.epochs = plan.model, plan.data.batch_size, epochs
        self.x = plan.data.dataset("train").values
        plan.stages[0].begin(first_rows(plan.data))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)
        self.step = 0
        self.total = epochs * -(-len(self.x) // self.batch_size)

    def epoch(self, number: int) -> None:
        order = torch.randperm(len(self.x), generator=generator("order", 0, number))
        self.model.train()
        for rows in order.split(self.batch_size):
            rate = LR_SCHEDULES["cosine"](self.step / self.total)
            self.optimizer.param_groups[0]["lr"] = 1e-3 * rate
            loss = self.model.loss(Batch(self.x.index_select(0, rows).float()))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1


class Interleaved(Callback):
    """Runs the plain loop's epoch before each epoch of the run, and times both."""

    def __init__(self, plain: PlainLoop) -> None:
        self.plain = plain
        self.loop: list[tuple[float, float]] = []  # (wall, processor) seconds of each epoch
        self.genlab: list[tuple[float, float]] = []
        self.whole: list[float] = []  # wall seconds with validation and checkpoints
        self.same = False

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        before = clocks()
        if self.loop:
            self.whole.append(before[0] - self.start[0])
        self.plain.epoch(trainer.current_epoch)
        self.start = clocks()
        self.loop.append(difference(self.start, before))

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        self.genlab.append(difference(clocks(), self.start))

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        ours, plain = module.state_dict(), self.plain.model.state_dict()
        self.same = all(torch.equal(ours[key], plain[key]) for key in plain)


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def difference(now: tuple[float, float], before: tuple[float, float]) -> tuple[float, float]:
    return now[0] - before[0], now[1] - before[1]


def interleaved() -> Interleaved:
    """What the configuration names as its callback: the one of this run."""
    return CALLBACK


def row(name: str, plain: Sequence[float], ours: Sequence[float]) -> tuple[float, list[str]]:
    ratio = median(b / a for a, b in zip(plain, ours, strict=True))
    return ratio, [name, f"{median(plain):.3f}", f"{median(ours):.3f}", f"{ratio:.3f}"]


def report(measured: Interleaved) -> int:
    assert measured.same, "the two loops ended with different weights: they are not comparable"
    loop, ours = measured.loop[1:], measured.genlab[1:]
    ratio, wall = row("training", [t[0] for t in loop], [t[0] for t in ours])
    _, processor = row("training, processor time", [t[1] for t in loop], [t[1] for t in ours])
    _, whole = row("with validation and checkpoints", [t[0] for t in loop[:-1]], measured.whole[1:])
    print(f"seconds an epoch, medians of {len(loop)}; both ended with the same weights, bit by bit")
    table(["", "plain loop", "genlab", "ratio"], [wall, processor, whole])
    return verdict(ratio <= REQUIRED, f"training ratio <= {REQUIRED}")


if __name__ == "__main__":
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    torch.set_num_threads(1)
    allow_targets(["__main__."])
    with tempfile.TemporaryDirectory() as folder:
        mnist = "GENLAB_DATA" in os.environ
        bits = "data=mnist_binary" if mnist else f"data.path={random_bits(Path(folder), 50_000)}"
        words = ["model=made", *([] if mnist else ["data=npz"]), bits, "model.hidden=[500]"]
        CALLBACK = Interleaved(PlainLoop(words, epochs))
        genlab.train(
            *words,
            f"stages.fit.max_epochs={epochs}",
            "stages.fit.patience=null",
            "trainer.threads=1",
            "+callbacks.clock._target_=__main__.interleaved",
            "evaluate=[]",
            "gallery=false",
            f"folder={folder}",
        )
    raise SystemExit(report(CALLBACK))
