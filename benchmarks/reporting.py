"""What the benchmarks share: random data of MNIST's shape, and a table with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def random_bits(folder: Path, rows: int) -> Path:
    """An .npz file of ``rows`` training images of 28×28 fair bits, with 1,000 each to validate and test."""
    generator = np.random.default_rng(0)
    sizes = {"train": rows, "val": 1000, "test": 1000}
    path = folder / "bits.npz"
    np.savez(path, **{k: generator.integers(0, 2, (n, 28, 28), np.uint8) for k, n in sizes.items()})
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their headings, the first column to the left and numbers to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]))


def verdict(met: bool, required: str) -> int:
    """Say whether the requirement is met; the exit code."""
    print(f"required: {required}: {'met' if met else 'MISSED'}")
    return 0 if met else 1
