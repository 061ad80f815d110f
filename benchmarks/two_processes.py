"""What do two processes with one thread each gain over one with one thread?

  python benchmarks/two_processes.py                # half an hour on two idle cores
  python benchmarks/two_processes.py --short        # fewer steps, once: seven minutes

Training data a second, as ``metrics.csv`` has them, of two processes over those of one, medians of three
runs each in turn: MADE 784-2000-784 at 1000 data per process and at 100, the U-Net on 28×28 images at 50.
Beside it the same ratio of two runs at once that share nothing, which is what the machine has to give; what
a step costs more in each of two processes; and what averaging as many gradients takes by itself (all-reduce
by gloo). Then the same for an evaluation, the bound of a diffusion on 1,000 images, without the time that
starting processes takes. Data are random bits, for which none of this makes a difference.

Required on two idle cores: 1.5 times the data a second for MADE at 1000 and for the U-Net, 1.7 times in
evaluation.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from reporting import random_bits, table, verdict

TRAINING, EVALUATION = 1.5, 1.7
REPEATS = 3
ONE = ["trainer=cpu", "trainer.threads=1"]
TWO = ["trainer=ddp_cpu", "trainer.threads=1"]
QUIET = ["evaluate=[]", "gallery=false"]
UNET = [
    "model=diffusion",
    "model.steps=20",
    "denoiser=unet",
    "model.denoiser.network.channels=[16,32]",
]
CASES = {  # name: words, data per process, rows and epochs, of which the first is left out
    "MADE 784-2000-784, 1000": (["model=made", "model.hidden=[2000]"], 1000, 40_000, 4),
    "MADE 784-2000-784, 100": (["model=made", "model.hidden=[2000]"], 100, 10_000, 4),
    "U-Net 28×28, 50": (UNET, 50, 1_000, 3),
}

ALL_REDUCE = """
import sys, time, torch, torch.distributed as dist
rank, size, port = map(int, sys.argv[1:])
torch.set_num_threads(1)
dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
x = torch.ones(size)
times = []
for _ in range(12):
    dist.barrier()
    start = time.perf_counter()
    dist.all_reduce(x)
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
dist.destroy_process_group()
"""


def genlab(*words: str) -> str:
    command = [sys.executable, "-m", "genlab", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1]


def train(words: list[str], folder: Path) -> Path:
    return Path(genlab("train", *words, f"folder={folder}"))


def speed(run: Path) -> float:
    """Training data a second: the median of the epochs but the first."""
    with (run / "metrics.csv").open() as file:
        found = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "speed/data"]
    return median(found[1:])


def of_one(words: list[str], folder: Path) -> float:
    return speed(train([*words, *ONE], folder))


def of_two(words: list[str], folder: Path) -> float:
    return speed(train([*words, *TWO], folder))


def apart(words: list[str], folder: Path) -> float:
    """Of two runs at once that share nothing."""
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(of_one, [words] * 2, [folder / "a", folder / "b"]))


def parameters(runs: Path) -> int:
    """Of any run below that folder, as all train one model."""
    return json.loads(next(runs.glob("*/run.json")).read_text())["parameters"]


def all_reduce(size: int) -> float:
    """Seconds for two processes to sum so many numbers."""
    port = str(20_000 + os.getpid() % 20_000)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ALL_REDUCE, str(rank), str(size), port],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    return float(processes[0].communicate()[0] if not processes[1].wait() else "nan")


def training(folder: Path, short: bool) -> list[float]:
    """The ratio of each case."""
    rows, ratios = [], []
    for name, (words, batch, n, epochs) in CASES.items():
        runs = folder / f"case-{len(rows)}"
        data = ["data=npz", f"data.path={random_bits(folder, n)}", f"data.batch_size={batch}"]
        words = [*words, *data, *QUIET, f"stages.fit.max_epochs={2 if short else epochs}"]
        rounds = range(1 if short else REPEATS)
        found = [[of(words, runs) for of in (of_one, of_two, apart)] for _ in rounds]
        a, b, c = map(median, zip(*found, strict=True))
        more, alone = batch / (b / 2) - batch / a, all_reduce(parameters(runs))
        ratios.append(b / a)
        numbers = [a, b, b / a, c / a, 1e3 * more, 1e3 * alone]
        digits = [0, 0, 2, 2, 0, 0]
        rows.append([name, *(f"{x:.{d}f}" for x, d in zip(numbers, digits, strict=True))])
    head = ["training", "data/s of one", "of two", "ratio", "sharing nothing"]
    table([*head, "ms more a step", "ms of all-reduce"], rows)
    return ratios


def seconds(run: Path, where: list[str]) -> float:
    """Of a pass over the test split, the second of two in one session: processes are there by then."""
    genlab("evaluate", str(run), str(run), *where)
    (score,) = (run / "scores").glob("test-*.json")
    return json.loads(score.read_text())["seconds"]


def evaluation(folder: Path, short: bool) -> float:
    data = ["data=npz", f"data.path={random_bits(folder, 100)}", "data.batch_size=50"]
    run = train([*UNET, *data, *QUIET, "stages.fit.max_steps=1", *ONE], folder / "runs")
    pairs = [(seconds(run, ONE), seconds(run, TWO)) for _ in range(1 if short else REPEATS)]
    one, two = map(median, zip(*pairs, strict=True))
    table(
        ["evaluation", "s of one", "of two", "ratio"],
        [["bound of a U-Net", f"{one:.1f}", f"{two:.1f}", f"{one / two:.2f}"]],
    )
    return one / two


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        large, _, unet = training(Path(folder), given.short)
        scored = evaluation(Path(folder), given.short)
    print(f"{time.perf_counter() - start:.0f} s")
    met = min(large, unet) >= TRAINING and scored >= EVALUATION
    return verdict(met, f"{TRAINING} in training (MADE at 1000, U-Net), {EVALUATION} in evaluation")


if __name__ == "__main__":
    sys.exit(main())
