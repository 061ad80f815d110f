"""What do checkpoints cost, and how soon does a resumed run take its first step?

  python benchmarks/checkpoints.py                  # ten minutes on one idle core
  python benchmarks/checkpoints.py --short          # fewer steps and repeats: two minutes

The time spent in saving checkpoints, one an epoch beside the best, over the time of training: MADE
784-500-784 on 50,000 images, the U-Net on 2,000. Then the seconds from the command to the end of its
first step, of a fresh run, and of one that was stopped in the middle of its second epoch and is resumed;
the two take turns, and the medians are compared. Data are random bits.

Required: at most 3 % of the time of training, and 1.2 times as long as a fresh start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from pytorch_lightning import Callback
from reporting import random_bits, table, verdict

COST, START = 0.03, 1.2
MADE = ["model=made", "model.hidden=[500]"]
UNET = [
    "model=diffusion",
    "model.steps=20",
    "denoiser=unet",
    "model.denoiser.network.channels=[16,32]",
]
CASES = {  # words, rows, batch size
    "MADE 784-500-784": (MADE, 50_000, 100),
    "U-Net 28×28": (UNET, 2_000, 50),
}
QUIET = ["evaluate=[]", "gallery=false", "trainer=cpu", "trainer.threads=1"]


class Clock(Callback):
    """Writes down when the first step of a session has ended, and how long saving took in all; stops it
    after a step. Where and after which is no part of what makes a run, and stands in the environment."""

    def __init__(self) -> None:
        self.file, self.stop = Path(os.environ["CLOCK"]), int(os.environ["CLOCK_STOP"])
        self.first, self.saving = 0.0, 0.0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        save = trainer.save_checkpoint

        def timed(*args: Any, **kwargs: Any) -> None:
            start = time.perf_counter()
            save(*args, **kwargs)
            self.saving += time.perf_counter() - start

        trainer.save_checkpoint = timed

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if not self.first:
            self.first = time.time()
            self._write()
        if trainer.global_step == self.stop:
            signal.raise_signal(signal.SIGTERM)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._write()

    def _write(self) -> None:
        self.file.write_text(json.dumps({"first": self.first, "saving": self.saving}))


def train(folder: Path, *words: str, stop: int = 0) -> tuple[Path, dict[str, float]]:
    """The run, and what the clock said; ``first`` in seconds after the command. stop: 0 for the end."""
    folder.mkdir(exist_ok=True)
    clock = folder / "clock.json"
    more = [
        "+callbacks.clock._target_=checkpoints.Clock",
        "--allow-target=checkpoints.",
        f"folder={folder}",
    ]
    own = {"CLOCK": str(clock), "CLOCK_STOP": str(stop), "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "genlab", "train", *words, *more]
    environment = os.environ | own | {"OMP_NUM_THREADS": "1"}
    start = time.time()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != (128 + signal.SIGTERM if stop else 0):
        raise RuntimeError(done.stderr)
    said = json.loads(clock.read_text())
    return next(folder.glob("*/run.json")).parent, said | {"first": said["first"] - start}


def cost(words: list[str], folder: Path, epochs: int) -> float:
    """The share of the time of training that goes into checkpoints."""
    run, said = train(folder, *words, f"stages.fit.max_epochs={epochs}")
    return said["saving"] / json.loads((run / "run.json").read_text())["training_seconds"]


def starts(words: list[str], folder: Path, steps: int, repeats: int) -> tuple[float, float]:
    """Seconds to the first step: of a fresh run, and of one stopped half an epoch into its second."""
    at = steps + steps // 2
    stopped, _ = train(folder / "stopped", *words, "stages.fit.max_epochs=2", stop=at)
    found = []
    for repeat in range(repeats + 1):
        fresh, resumed = folder / f"fresh-{repeat}", folder / f"resumed-{repeat}"
        _, first = train(fresh, *words, "stages.fit.max_epochs=2", stop=1)
        shutil.copytree(stopped, resumed / stopped.name)
        again = ["stages.fit.max_epochs=2", "--resume", str(resumed / stopped.name)]
        _, second = train(resumed, *words, *again, stop=at + 1)
        found.append((first["first"], second["first"]))
    return median(a for a, _ in found[1:]), median(b for _, b in found[1:])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    rows, costs, ratios = [], [], []
    for name, (words, most, batch) in CASES.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder, n = Path(temporary), most // 5 if short else most
            data = ["data=npz", f"data.path={random_bits(folder, n)}", f"data.batch_size={batch}"]
            words = [*words, *data, *QUIET]
            costs.append(cost(words, folder / "cost", 2 if short else 4))
            fresh, resumed = starts(words, folder, n // batch, 2 if short else 7)
        ratios.append(resumed / fresh)
        numbers = [f"{100 * costs[-1]:.2f} %", f"{fresh:.2f}", f"{resumed:.2f}"]
        rows.append([name, *numbers, f"{ratios[-1]:.2f}"])
    table(["", "saving", "fresh start (s)", "resumed (s)", "ratio"], rows)
    met = max(costs) <= COST and max(ratios) <= START
    return verdict(met, f"saving at most {COST:.0%} of training, a start {START} times a fresh one")


if __name__ == "__main__":
    sys.exit(main())
