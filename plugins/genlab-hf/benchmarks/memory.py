"""How much memory does an epoch over a file take, and how long?

    python benchmarks/memory.py [--rows N …] [--columns N] [--images N …] [--batches N] [--window MB]

Writes parquet files of random numbers (float32: 4,000,000 rows of 64 columns are 1.0 GB) and of images into
a temporary folder, which is removed afterwards. Each is read in a process of its own: opened, standardised,
and up to 1,000 batches of an epoch gone through; first mapped, which converts it, again mapped, then
streamed. Random batches of a mapped file touch every page of it; those of a streamed one lie in one window
after another. What counts is the private memory of the process at its peak; pages of mapped files are a
cache that the operating system takes back when memory is short.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BLOCK = 50_000
BATCH = 500
SIDE = 64


def write_numbers(path: Path, rows: int, columns: int) -> None:
    """One block of random numbers over and over, written as they are."""
    stream = np.random.Generator(np.random.PCG64(0))
    block = pa.table({f"x{d}": stream.random(BLOCK, dtype=np.float32) for d in range(columns)})
    with pq.ParquetWriter(path, block.schema, compression="none", use_dictionary=False) as writer:
        for first in range(0, rows, BLOCK):
            writer.write_table(block.slice(0, rows - first))


def write_images(path: Path, rows: int) -> None:
    """PNG files of 64 × 64 random colours, which do not compress."""
    from datasets import Dataset, Features, Image
    from PIL import Image as Pillow

    def cells():
        stream = np.random.Generator(np.random.PCG64(0))
        for _ in range(rows):
            file = io.BytesIO()
            pixels = stream.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(file, "png")
            yield {"image": {"bytes": file.getvalue(), "path": None}}

    features = Features({"image": Image()})
    made = Dataset.from_generator(cells, features, cache_dir=str(path.parent / "made"))
    made.to_parquet(path)


class Peak(threading.Thread):
    """The highest private and mapped memory of this process (bytes), looked at a hundred times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.private = self.mapped = 0

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            found = dict(line.split(":", 1) for line in status.splitlines())
            self.private = max(self.private, 1024 * int(found["RssAnon"].split()[0]))
            self.mapped = max(self.mapped, 1024 * int(found["RssFile"].split()[0]))
            time.sleep(0.01)


def read(path: str, image: bool, most: int, window: int | None) -> dict[str, float]:
    """At most so many random batches of an epoch, and what they took."""
    import torch

    from genlab_hf import HuggingFaceData

    torch.set_num_threads(1)
    peak = Peak()
    peak.start()
    time.sleep(0.1)
    before = peak.private
    start = time.perf_counter()
    data = HuggingFaceData(
        path,
        image="image" if image else None,
        batch_size=BATCH,
        streaming=window is not None,
        window=window,
    )
    opened = time.perf_counter()
    batches = 0
    for batch in itertools.islice(data.train_dataloader(), most):
        assert data.spec.contains(batch.x[:1])
        batches += 1
    done = time.perf_counter()
    time.sleep(0.1)
    return {
        "imports": before,
        "private": peak.private,
        "mapped": peak.mapped,
        "open": opened - start,
        "batch": (done - opened) / batches,
        "batches": batches,
    }


def measure(path: Path, image: bool, most: int, window: int) -> None:
    """Converted, found converted, and streamed."""
    kept = path.parent / "cache"
    cache = os.environ | {"HF_DATASETS_CACHE": str(kept)}
    size = path.stat().st_size / 1e6
    for way in ("converted", "mapped", "streamed"):
        command = [sys.executable, __file__, "--read", str(path), "--batches", str(most)]
        command += ["--image"] * image
        if way == "streamed":
            shutil.rmtree(kept)
            command += ["--window", str(window)]
        done = subprocess.run(command, env=cache, check=True, stdout=subprocess.PIPE, text=True)
        f = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{path.name:24}{size:7.0f} MB {way:10} private {f['private'] / 1e6:6.0f} MB (imports "
            f"{f['imports'] / 1e6:4.0f}), mapped {f['mapped'] / 1e6:6.0f} MB, "
            f"opened in {f['open']:5.1f} s, {1e3 * f['batch']:6.2f} ms each of {f['batches']} batches, "
            f"{len(list(kept.rglob('*')))} files kept",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="*", default=[400_000, 4_000_000])
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--images", type=int, nargs="*", default=[])
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--image", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        streamed = given.window if "--window" in sys.argv else None
        print(json.dumps(read(given.read, given.image, given.batches, streamed)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows:
            file = Path(folder) / f"numbers-{rows}.parquet"
            write_numbers(file, rows, given.columns)
            measure(file, False, given.batches, given.window)
        for rows in given.images:
            file = Path(folder) / f"images-{rows}.parquet"
            write_images(file, rows)
            measure(file, True, given.batches, given.window)


if __name__ == "__main__":
    main()
