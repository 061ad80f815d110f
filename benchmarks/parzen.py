"""How much faster is a Parzen window by matrix products than scikit-learn's, for the same answer?

  python benchmarks/parzen.py

Required: at least 20 times as fast as ``KernelDensity`` as it comes, the answer of ``KernelDensity`` with
a single leaf within 1e-3 nats for every row, and less than 2 GiB of memory for the whole process.

10,000 training images of MNIST are the samples, 10,000 test images are scored, σ = 0.17, on one thread.
scikit-learn takes some of the test images in turns with genlab, and its time is multiplied up, as each row
costs it the same. Times are processor seconds, the least of TURNS. As it comes, KernelDensity walks down a
tree: in 784 dimensions no branch can be left out, and its sums are wrong, as it takes bounds near one off
sums near e^-500. With one leaf it sums over all samples and is right; its time is shown as well. Where
GENLAB_DATA is not set, clusters of the same shape stand in for MNIST.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import numpy as np
import torch
from reporting import table, verdict
from sklearn.neighbors import KernelDensity
from torch import Tensor

from genlab.data import mnist
from genlab.likelihood.kernels import Gaussian

REQUIRED = 20.0
WITHIN = 1e-3  # nats
GIB = 2.0
SIGMA = 0.17
N = 10_000
ROWS = 25  # of the test images, for scikit-learn, in each of TURNS
TURNS = 6


def images() -> tuple[Tensor, Tensor]:
    """(N, 784) samples and (N, 784) data to be scored."""
    if "GENLAB_DATA" in os.environ:
        data = mnist()
        rows = torch.arange(N)
        train, test = (data.dataset(split)[rows].x.flatten(1) for split in ("train", "test"))
        return train, test
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(100, 784, generator=generator)
    near = centres.repeat(2 * N // 100, 1) + 0.15 * torch.randn(2 * N, 784, generator=generator)
    return near[:N], near[N:]


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Of the processor: other work on the machine does not count."""
    start = time.process_time()
    values = work()
    return time.process_time() - start, values


def main() -> int:
    torch.set_num_threads(1)
    samples, x = images()
    kernel = Gaussian(samples)
    theirs = {
        "scikit-learn": KernelDensity(bandwidth=SIGMA).fit(samples.numpy()),
        "scikit-learn, one leaf": KernelDensity(bandwidth=SIGMA, leaf_size=N).fit(samples.numpy()),
    }
    times: dict[str, list[float]] = {name: [] for name in ("genlab", *theirs)}
    errors: dict[str, list[float]] = {name: [] for name in theirs}
    for turn in range(TURNS):
        spent, nats = seconds(lambda: kernel.log_mixture(x, [SIGMA])[0].numpy())
        times["genlab"].append(spent)
        rows = np.arange(turn, N, N // ROWS)
        for name, estimator in theirs.items():
            spent, expected = seconds(
                lambda rows=rows, estimator=estimator: estimator.score_samples(x[rows].numpy())
            )
            times[name].append(spent * N / len(rows))
            errors[name].append(np.abs(nats[rows] - expected).max())
    return report(float(nats.mean()), times, errors)


def report(mean: float, times: dict[str, list[float]], errors: dict[str, list[float]]) -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    ours = min(times["genlab"])
    print(f"{mean:.2f} nats on average; peak memory {peak:.2f} GiB, both libraries together")
    lines = [
        [name, f"{min(spent):.1f}", f"{min(spent) / ours:.0f}", error(errors.get(name))]
        for name, spent in times.items()
    ]
    table(["processor seconds for 10,000 rows", "", "ratio", "differs by (nats)"], lines)
    met = (
        min(times["scikit-learn"]) >= REQUIRED * ours
        and max(errors["scikit-learn, one leaf"]) <= WITHIN
        and peak < GIB
    )
    return verdict(
        met, f"ratio >= {REQUIRED:.0f}, within {WITHIN} of one leaf, below {GIB:.0f} GiB"
    )


def error(found: list[float] | None) -> str:
    return "" if found is None else f"{max(found):.2g}"


if __name__ == "__main__":
    raise SystemExit(main())
