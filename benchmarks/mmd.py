"""How close does a step of the MMD come to the matrix products that it cannot do without?

  python benchmarks/mmd.py [TURNS]

Required: the loss of 1,000 samples and 1,000 data of 784 numbers under the six Gaussian kernels of the
GMMN paper, with its gradient, takes at most 1.6 times as long as the five products of the plain formula
alone (the Gram matrices of xx, xy and yy, and two for the gradient), on one thread. And the loss and
gradient of 20,000 and 20,000 codes of 32 numbers need less than 2 GiB for the whole process, where a single
matrix of pairs takes 1.5.

The two take turns, in one process; the ratio is that of the medians of processor time. For contrast, the
plain formula with all pairs at once and automatic differentiation. With 3 TURNS in place of 25 this is
the short form, which leaves the 20,000 out.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict
from torch import Tensor

from genlab.nn.mmd import MMD, GaussianKernel

REQUIRED = 1.6
GIB = 2.0
N, SIZE = 1000, 784
MANY, CODE = 20_000, 32
TURNS, FEW = 25, 3


def sets(n: int, size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(n, size, generator=generator) for _ in range(2))
    return x.requires_grad_(), y


def step(x: Tensor, y: Tensor, kernel: GaussianKernel) -> None:
    torch.autograd.grad(MMD(kernel)(x, y), x)


def plain(x: Tensor, y: Tensor, kernel: GaussianKernel) -> None:
    def k(a: Tensor, b: Tensor) -> Tensor:
        s = a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T
        return torch.stack([(s / (-2 * v)).exp() for v in kernel.variances]).sum(0).mean()

    torch.autograd.grad((k(x, x) + k(y, y) - 2 * k(x, y)).sqrt(), x)


@torch.no_grad()
def products(x: Tensor, y: Tensor, pairs: Tensor) -> None:
    _ = x @ x.T, x @ y.T, y @ y.T, pairs @ x, pairs @ y


def seconds(work: Callable[[], Any]) -> float:
    """Of the processor: other work on the machine does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def fits(kernel: GaussianKernel) -> bool:
    """Whether MANY codes take less than GIB of this process altogether."""
    x, y = sets(MANY, CODE)
    spent = seconds(lambda: step(x, y, kernel))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{MANY:,} samples and data of {CODE} numbers: {spent:.1f} s, peak memory {peak:.2f} GiB")
    return peak < GIB


def main(turns: int) -> int:
    torch.set_num_threads(1)
    kernel, pairs, (x, y) = GaussianKernel(), torch.rand(N, N), sets(N, SIZE)
    works: dict[str, Callable[[], None]] = {
        "products alone": lambda: products(x, y, pairs),
        "genlab": lambda: step(x, y, kernel),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns + 1):
        for name, work in works.items():
            spent = seconds(work)
            if turn:  # the first is for warming up
                times[name].append(spent)
    met = turns <= FEW or fits(kernel)  # before the plain formula, which takes more
    times["plain formula"] = [seconds(lambda: plain(x, y, kernel)) for _ in range(min(turns, 5))]
    bare, ours = (median(times[name]) for name in works)
    rows = [
        [name, f"{1e3 * median(each):.1f}", f"{median(each) / bare:.2f}"]
        for name, each in times.items()
    ]
    print(f"{N} samples and data of {SIZE} numbers, {len(kernel.variances)} kernels")
    table(["medians", "ms", "ratio"], rows)
    needed = f"ratio {ours / bare:.2f} <= {REQUIRED}"
    return verdict(ours <= REQUIRED * bare and met, f"{needed}, below {GIB:.0f} GiB")


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS))
