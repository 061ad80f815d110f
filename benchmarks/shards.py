"""Do 100 GB of shards take more memory than 1 GB?

  python benchmarks/shards.py
  python benchmarks/shards.py --gigabytes 1 1000 --batches 300 --workers 2

Required: the private memory of the process at its peak for 100 GB within 3 % of that for 1 GB.

The files are sparse: headers and the right sizes, with zeros in place of images of 28×28 greys, so that
they take no room on a disk. Each folder is opened in a process of its own, which goes through the first
batches of an epoch in the order of training, a hundred rows each from anywhere. Pages of mapped files are a
cache that the operating system takes back when memory is short; they are shown beside, and not counted. A
first process, which is not counted, reads the programs from disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

WITHIN = 0.03
SHAPE = (1, 28, 28)
IN_A_FILE = 2**29 // 784  # rows, as genlab data shard chooses


def sparse(path: Path, rows: int) -> None:
    """An .npy file of zeros that takes no room."""
    with path.open("wb") as file:
        about = {"descr": "|u1", "fortran_order": False, "shape": (rows, *SHAPE)}
        np.lib.format.write_array_header_1_0(file, about)
        file.truncate(file.tell() + rows * 784)


def write(folder: Path, gigabytes: float) -> int:
    """A folder of shards whose training data have this size; how many they are."""
    from genlab.contracts import DataSpec, Support
    from genlab.data.shard_index import FILE, Column, Columns, Index, Shard

    folder.mkdir()
    rows = int(gigabytes * 1e9) // 784
    splits = {}
    for split, n in (("train", rows), ("val", 1000), ("test", 1000)):
        shards = []
        for first in range(0, n, IN_A_FILE):
            shard = Shard(f"{split}-x-{len(shards):05}.npy", min(IN_A_FILE, n - first), "0" * 64)
            sparse(folder / shard.file, shard.rows)
            shards.append(shard)
        splits[split] = Columns(Column("uint8", tuple(shards)), None)
    index = Index(DataSpec("zeros", "256 levels", SHAPE, Support.LEVELS, 256), splits)
    (folder / FILE).write_text(json.dumps(index.as_json({"by": Path(__file__).name})))
    return rows


class Peak(threading.Thread):
    """The highest private and mapped memory of this process (bytes), looked at a hundred times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.private = self.mapped = 0

    def look(self) -> None:
        status = Path("/proc/self/status").read_text()
        found = dict(line.split(":", 1) for line in status.splitlines())
        self.private = max(self.private, 1024 * int(found["RssAnon"].split()[0]))
        self.mapped = max(self.mapped, 1024 * int(found["RssFile"].split()[0]))

    def run(self) -> None:
        while True:
            self.look()
            time.sleep(0.01)


def read(folder: str, batches: int, workers: int) -> dict[str, float]:
    """So many batches of an epoch, and what they took."""
    import torch

    from genlab.data import Shards

    torch.set_num_threads(1)
    peak = Peak()
    peak.look()
    imports = peak.private
    peak.start()
    start = time.perf_counter()
    data = Shards(folder)
    data.num_workers = workers
    loader = iter(data.train_dataloader())
    assert not next(loader).x.any()
    first = time.perf_counter()
    seen = sum(len(batch.x) for batch in islice(loader, batches - 1))
    done = time.perf_counter()
    peak.look()
    return {
        "imports": imports,
        "private": peak.private,
        "mapped": peak.mapped,
        "first": first - start,
        "batch": 100 * (done - first) / seen,
    }


def measure(folder: Path, batches: int, workers: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--read", str(folder), "--batches", str(batches)]
    command += ["--workers", str(workers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, nargs=2, default=[1, 100])
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.read, given.batches, given.workers)))
        return 0
    from reporting import table, verdict

    lines, private = [], []
    with TemporaryDirectory() as made:
        for gigabytes in given.gigabytes:
            folder = Path(made) / f"{gigabytes:g}"
            rows = write(folder, gigabytes)
            if not private:
                measure(folder, 2, given.workers)
            f = measure(folder, given.batches, given.workers)
            private.append(f["private"])
            sizes = [f"{f[key] / 1e6:.1f}" for key in ("private", "imports", "mapped")]
            times = [f"{1e3 * f['first']:.0f}", f"{1e3 * f['batch']:.2f}"]
            lines.append([f"{gigabytes:g} GB, {rows:,} rows", *sizes, *times])
    head = ["", "private, MB", "of it imports", "mapped, MB", "first batch, ms", "a batch, ms"]
    table(head, lines)
    few, many = private
    required = f"{given.gigabytes[1]:g} GB within {WITHIN:.0%} of {given.gigabytes[0]:g} GB"
    return verdict(many < (1 + WITHIN) * few, f"{required} ({many / few - 1:+.1%})")


if __name__ == "__main__":
    raise SystemExit(main())
