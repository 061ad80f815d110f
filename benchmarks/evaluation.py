"""What does an evaluation cost, beside the bare forward passes that it consists of?

  python benchmarks/evaluation.py [ROWS]

Required: at most 1.3 times the bare passes, for the exact likelihood of MADE 784-500-784 on 10,000 test
rows, on one thread.

``genlab.likelihood.evaluate`` scores the split as ``genlab evaluate`` does: through ``Trainer.predict``,
in blocks of 64 rows with a generator each, until every row's value is in order on rank 0. The bare loop
hands the same blocks, cut from the same tensor, to ``model.log_likelihood`` and keeps the values. Both
must find the same numbers. The last line is the same pass over the whole split in batches of 1,000, to show
what the blocks cost. Times are processor seconds, the least of REPEATS turns; the bits are random.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import numpy as np
import torch
from reporting import table, verdict
from torch import Tensor

from genlab.blocks import BLOCK
from genlab.contracts import Batch, DataModule, DataSpec, Support
from genlab.likelihood import Exact, evaluate
from genlab.likelihood.scoring import Scored
from genlab.models.made import MADE
from genlab.training import TrainerSettings

REQUIRED = 1.3
REPEATS = 7
SPEC = DataSpec("bits", "fixed", (784,), Support.BINARY)


class Bits(DataModule):
    """Fair bits in memory as bytes, as genlab's own binary data are."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.values = torch.randint(0, 2, (rows, 784), generator=generator, dtype=torch.uint8)

    @property
    def spec(self) -> DataSpec:
        return SPEC

    def dataset(self, split: str) -> Bits:
        return self

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Tensor) -> Batch:
        return Batch(self.values.index_select(0, rows).float(), None, rows)


def evaluated(model: MADE, data: Bits) -> np.ndarray:
    found: list[np.ndarray] = []
    trainer = TrainerSettings(accelerator="cpu", threads=1).trainer([])

    def write(scored: Scored) -> None:
        found.append(scored.nats)

    evaluate(model, Exact(model), data, "test", trainer, seed=0, write=write)
    return found[0]


@torch.no_grad()
def bare(model: MADE, data: Bits, rows: int) -> np.ndarray:
    noise = torch.Generator()
    blocks = data.values.split(rows)
    nats = [model.log_likelihood(block.float(), generator=noise).nats for block in blocks]
    return torch.cat(nats).double().numpy()


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Of the processor: other work on the machine does not count."""
    start = time.process_time()
    values = work()
    return time.process_time() - start, values


def main() -> int:
    torch.set_num_threads(1)
    data = Bits(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    model = MADE(SPEC, hidden=(500,)).eval()
    works = {
        f"bare passes in blocks of {BLOCK}": lambda: bare(model, data, BLOCK),
        "genlab.likelihood.evaluate": lambda: evaluated(model, data),
        "bare passes in batches of 1000": lambda: bare(model, data, 1000),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(REPEATS + 1):
        values = []
        for name, work in works.items():
            spent, nats = seconds(work)
            values.append(nats)
            if turn:  # the first is for warming up
                times[name].append(spent)
        assert np.array_equal(values[0], values[1]), "the two found different numbers"
    blocks, whole, _ = map(min, times.values())
    ratio = whole / blocks
    print(f"{len(data)} rows; both found the same numbers, bit by bit")
    table(["", "processor seconds"], [[name, f"{min(spent):.3f}"] for name, spent in times.items()])
    return verdict(ratio <= REQUIRED, f"ratio {ratio:.2f} <= {REQUIRED}")


if __name__ == "__main__":
    raise SystemExit(main())
