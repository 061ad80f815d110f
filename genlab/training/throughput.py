"""How fast a stage trains, how much memory it takes, and what holds it up.

``metrics.csv`` gets, at the end of each epoch: ``speed/data``, training data a second of all processes;
``speed/flops``, floating-point operations a second of one process, forward and backward: matrix products,
convolutions and attention, as counted in a stage's first step; ``speed/utilisation``, the share of what the
device can do (as its maker says of a GPU, as measured by matrix products on a CPU); ``memory/peak``, bytes.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from lightning_fabric.utilities.throughput import get_available_flops
from pytorch_lightning import Callback, Trainer
from torch.utils.flop_counter import FlopCounterMode

from genlab.training.curves import Curves

PREFIXES = ("speed/", "memory/")  # of what another session need not find again
LIMIT = 0.5  # share of the time waiting for data that is worth a word
ENOUGH = 5.0  # seconds of training before it is said
WORK, WAITING = 0, 1  # what time is spent on


class Throughput(Callback):
    """counts: whether operations are counted, which compiled and sharded models do not let us see.
    say: told once if a stage waits for data more than it works.

    ``end_of_step`` must be the last callback: what others do after a step is no waiting for data.
    """

    def __init__(
        self, curves: Curves, stage: str, counts: bool, say: Callable[[str], None]
    ) -> None:
        self.curves, self.stage, self.counts, self.say = curves, stage, counts, say
        self.end_of_step = _EndOfStep(self)
        self.flops: int | None = None
        self._counter: FlopCounterMode | None = None
        self._total = [0.0, 0.0]  # seconds of the session: WORK, WAITING
        self._warned = False
        self._given: torch.cuda.Event | None = None  # the last work that a GPU was given

    def state_dict(self) -> dict[str, Any]:
        return {"flops": self.flops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.flops = state["flops"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._begin()

    def _begin(self) -> None:
        """An epoch, or what is left of it."""
        self._epoch = [0.0, 0.0]
        self._data, self._steps, self._end = 0, 0, None

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, index: int) -> None:
        self._start = time.perf_counter()
        if self._end is not None:
            self._spend(WAITING if self._is_idle else WORK, self._start - self._end)
        if self.counts and self.flops is None:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def end(self, trainer: Trainer, batch: Any) -> None:
        """Of a step, and of what other callbacks did after it."""
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops, self._counter = self._counter.get_total_flops(), None
            return  # counting takes longer than the step
        self._end = time.perf_counter()
        self._spend(WORK, self._end - self._start)
        self._data += len(batch.x)
        self._steps += 1
        if trainer.strategy.root_device.type == "cuda":
            self._given = torch.cuda.Event()
            self._given.record()
        self._warn(trainer.train_dataloader)

    @property
    def _is_idle(self) -> bool:
        """Whether the device has nothing to do; a GPU works on while the next data are read."""
        return self._given is None or self._given.query()

    def _spend(self, on: int, seconds: float) -> None:
        self._epoch[on] += seconds
        self._total[on] += seconds

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        seconds = sum(self._epoch)
        if self._steps:
            self.curves.add(trainer, "speed/data", self._data * trainer.world_size / seconds)
            self._add_flops(trainer, self._steps / seconds)
        self.curves.add(trainer, "memory/peak", _peak_memory(trainer.strategy.root_device))
        self._begin()

    def _add_flops(self, trainer: Trainer, steps: float) -> None:
        """steps: a second."""
        if not self.flops:
            return
        self.curves.add(trainer, "speed/flops", self.flops * steps)
        able = _able(trainer.strategy.root_device, trainer.precision)
        if able:
            self.curves.add(trainer, "speed/utilisation", self.flops * steps / able)

    def _warn(self, loader: Any) -> None:
        share = self._total[WAITING] / max(sum(self._total), 1e-9)
        if self._warned or sum(self._total) < ENOUGH or share < LIMIT:
            return
        self._warned = True
        self.say(
            f"stage {self.stage!r} spends {100 * share:.0f} % of its time waiting for data: "
            f"trainer.workers={max(2, 2 * loader.num_workers)} reads more of them ahead"
        )


class _EndOfStep(Callback):
    def __init__(self, of: Throughput) -> None:
        self.of = of

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.of.end(trainer, batch)


def _peak_memory(device: torch.device) -> int:
    """Of this process so far, in bytes: on the GPU, or in main memory, mapped files among it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@cache
def _able(device: torch.device, precision: str) -> float | None:
    """Operations a second that a device can do; None where nobody says."""
    half = {"bf16": torch.bfloat16, "16-m": torch.float16, "64-t": torch.float64}
    kind = half.get(precision[:4], torch.float32)
    if device.type == "cpu":
        return _measured(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is not known
        return get_available_flops(device, kind) if device.type == "cuda" else None


def _measured(kind: torch.dtype, size: int = 512, times: int = 5) -> float:
    """Of matrix products, on as many threads as are used now; the fastest of a few."""
    x = torch.ones(size, size, dtype=kind)
    least = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        torch.mm(x, x)
        least = min(least, time.perf_counter() - start)
    return 2 * size**3 / least
