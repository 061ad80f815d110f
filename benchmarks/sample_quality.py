"""What do the metrics of sample quality say of samples whose faults are known?

  GENLAB_DATA=… python benchmarks/sample_quality.py [n]

MNIST in its fixed binarisation. Real are n training images (10,000 unless another number is given), spread
over the set; as samples stand n other training images, n test images, 100 training images repeated, and
independent Bernoulli pixels with the training data's marginals. The training data of the memorisation
test are the images that are left; the 100 are some of them.

Required: other training images and test images cover 0.96 ± 0.01 of the real ones at n = 10,000 (0.969 is
expected of equal distributions); recall, coverage and the classifier two-sample test find the repeated
images, and coverage and the test the independent pixels.
"""

from __future__ import annotations

import sys
import time

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict
from torch import Tensor

from genlab.data import binarized_mnist
from genlab.metrics import (
    C2ST,
    MMD,
    Birthday,
    DensityCoverage,
    Features,
    Frechet,
    Kernel,
    Memorisation,
    PrecisionRecall,
    Raw,
    SampleMetric,
    features_for,
)
from genlab.metrics.base import Values, spread
from genlab.nn.heads import head_for
from genlab.randomness import generator

METRICS = (Frechet, Kernel, PrecisionRecall, DensityCoverage, C2ST, MMD, Birthday, Memorisation)
COLUMNS = (
    ("Fréchet", "frechet", "distance"),
    ("kernel", "kernel", "distance"),
    ("precision", "precision_recall", "precision"),
    ("recall", "precision_recall", "recall"),
    ("density", "density_coverage", "density"),
    ("coverage", "density_coverage", "coverage"),
    ("C2ST", "c2st", "accuracy"),
    ("MMD p", "mmd", "p_value_aggregated"),
    ("support", "birthday", "support"),
    ("copying z", "memorisation", "z"),
)
Found = dict[str, Values]


class Sets:
    """Images and their features, each computed once."""

    def __init__(self, n: int) -> None:
        self.data = binarized_mnist()
        self.features = features_for(self.data)
        x = _rows(self.data, "train")
        chosen = spread(2 * n, len(x))
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[chosen] = False
        self.real, self.train = x[chosen[::2]], x[rest]
        head = head_for(self.data.spec)
        theta = head.marginal(x)
        self.samples = {
            "other training images": x[chosen[1::2]],
            "test images": _rows(self.data, "test")[spread(n, 10_000)],
            "100 images repeated": self.train[:100].repeat(-(-n // 100), 1, 1, 1)[:n],
            "independent Bernoulli": head.sample(theta.expand(n, *theta.shape), generator("noise")),
        }


def _rows(data, split: str) -> Tensor:
    dataset = data.dataset(split)
    return dataset[torch.arange(len(dataset))].x


def measure(sets: Sets, samples: Tensor) -> Found:
    found = {}
    spaces: dict[str, Features] = {"features": sets.features, "data": Raw()}
    for kind in METRICS:
        metric: SampleMetric = kind(features=spaces[kind.space])
        if metric.needs_train:
            metric.prepare(sets.train)
        for x, real in ((samples, False), (sets.real, True)):
            for part in x.split(1000):
                metric.update(part, real=real)
        found[metric.name] = metric.compute()
    return found


def line(found: Found) -> list[str]:
    values = [found[metric][key] for _, metric, key in COLUMNS]
    return ["–" if value is None else f"{value:.4g}" for value in values]


def honest(found: dict[str, Found], n: int) -> bool:
    """Whether what is required above holds."""
    margin = 0.01 if n >= 10_000 else 0.03
    equal = [found[name] for name in ("other training images", "test images")]
    few, noise = found["100 images repeated"], found["independent Bernoulli"]

    def coverage(one: Found) -> float:
        return one["density_coverage"]["coverage"] or 0.0

    def told_apart(one: Found) -> bool:
        return (one["c2st"]["accuracy"] or 0.0) > 0.6

    return (
        all(abs(coverage(one) - 0.96) <= margin for one in equal)
        and (few["precision_recall"]["recall"] or 0.0) < 0.05
        and coverage(few) < 0.5
        and coverage(noise) < 0.5
        and told_apart(few)
        and told_apart(noise)
    )


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    torch.set_num_threads(1)
    sets = Sets(n)
    print(
        f"n={n}, features {sets.features.name}, {sets.features.accuracy:.2%} of test labels right"
    )
    found = {}
    for name, samples in sets.samples.items():
        start = time.perf_counter()
        found[name] = measure(sets, samples)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    table(
        ["samples", *(title for title, _, _ in COLUMNS)],
        [[name, *line(one)] for name, one in found.items()],
    )
    return verdict(honest(found, n), "coverage 0.96 ± 0.01 of equals, bad samples caught")


if __name__ == "__main__":
    raise SystemExit(main())
