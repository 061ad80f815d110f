"""How much slower is training on a machine that is busy with something else?

  python benchmarks/busy_machine.py

Required: beside two busy loops, training takes at most 3 times as long as alone, with the number of
threads that genlab chooses by itself.

Each measurement is a fresh process that trains MADE 784-500-784 through ``genlab.train`` for a few
seconds and counts its steps; the busy loops are Python processes that do nothing but count. Alone and
busy take turns. For contrast, the same with OMP_WAIT_POLICY=active, the way torch's threads wait by
default: spinning, so that a thread that waits takes the processor from the one it waits for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from reporting import random_bits, table, verdict

REQUIRED = 3.0
ROUNDS = 3
SECONDS = 5.0  # of training that count
WARM_UP = 5  # steps that do not
BUSY_LOOPS = 2


@contextmanager
def busy_loop() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(data: Path, loops: int, policy: str) -> tuple[float, int]:
    """Milliseconds a step, and the threads that genlab chose, in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    command = [sys.executable, __file__, "train", str(data)]
    with ExitStack() as stack:
        for _ in range(loops):
            stack.enter_context(busy_loop())
        environment = inherited | ({"OMP_WAIT_POLICY": policy} if policy else {})
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    result = json.loads(done.stdout.splitlines()[-1])
    return result["milliseconds"], result["threads"]


def train(data: str) -> None:
    """Train for SECONDS and print what a step took."""
    import genlab

    # isort: split
    import torch
    from pytorch_lightning import Callback

    from genlab.targets import allow_targets

    class Clock(Callback):
        ends: list[float] = []  # noqa: RUF012

        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            self.ends.append(time.perf_counter())
            counted = self.ends[WARM_UP:]
            trainer.should_stop = len(counted) > 1 and counted[-1] - counted[0] > SECONDS

    def clock() -> Callback:
        return Clock()

    globals()["clock"] = clock
    allow_targets(["__main__."])
    with tempfile.TemporaryDirectory() as folder:
        genlab.train(
            *["model=made", "model.hidden=[500]", "data=npz", f"data.path={data}"],
            *["evaluate=[]", "gallery=false", f"folder={folder}"],
            "+callbacks.clock._target_=__main__.clock",
        )
    counted = Clock.ends[WARM_UP:]
    milliseconds = 1000 * (counted[-1] - counted[0]) / (len(counted) - 1)
    print(json.dumps({"milliseconds": milliseconds, "threads": torch.get_num_threads()}))


def compare(data: Path, policy: str) -> tuple[float, list[str]]:
    alone, busy = [], []
    for _ in range(ROUNDS):
        milliseconds, threads = measure(data, 0, policy)
        alone.append(milliseconds)
        busy.append(measure(data, BUSY_LOOPS, policy)[0])
    ratio = median(busy) / median(alone)
    name = f"OMP_WAIT_POLICY={policy}" if policy else "genlab's choice"
    times = [f"{median(alone):.2f}", f"{median(busy):.2f}", f"{ratio:.1f}"]
    return ratio, [name, str(threads), *times]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        data = random_bits(Path(folder), 5_000)
        ratio, ours = compare(data, "")
        _, active = compare(data, "active")
    print(f"milliseconds a step, alone and beside {BUSY_LOOPS} busy loops; medians of {ROUNDS}")
    table(["", "threads", "alone", "busy", "ratio"], [ours, active])
    return verdict(ratio <= REQUIRED, f"genlab's ratio <= {REQUIRED:.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(sys.argv[2])
    else:
        raise SystemExit(main())
