"""Two-sample test by the unbiased squared maximum mean discrepancy (MMD²) of Gaussian kernels.

  k(x, y) = exp(−‖x − y‖² / 2σ²)

σ is the median distance between two of all rows, or several multiples of it at once: the aggregated
statistic is the largest MMD² over σ, each divided by its standard deviation over permutations. Both are
compared with their values under random exchanges of samples and real data, which makes the p-values
exact whatever the data are.
Sources: A. Gretton et al., A kernel two-sample test, JMLR 2012; A. Schrab et al., MMD aggregated
two-sample test, 2021, arXiv:2110.15073, for the idea of combining bandwidths.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genlab.memory import rows_at_once
from genlab.metrics.base import SampleMetric, Values, evenly
from genlab.metrics.distances import squared_distances
from genlab.nn.precision import full_precision
from genlab.randomness import generator
from genlab.ranges import at_least

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # in median distances
MEDIAN = BANDWIDTHS.index(1.0)


class MMD(SampleMetric):
    """``mmd2`` with the median bandwidth, of expectation 0 for equal distributions; ``p_value`` of equal
    distributions by it, and ``p_value_aggregated`` by all bandwidths together.

    permutations: random exchanges; the smallest p-value is 1 / (permutations + 1). rows: at most this many
    of each set are taken, spread evenly over it: the cost is rows² × permutations.
    """

    name = "mmd"
    shown = ("mmd2", "p_value", "p_value_aggregated")

    def __init__(
        self,
        seed: int = 0,
        permutations: int = 500,
        rows: int = 2000,
        features: nn.Module | None = None,
    ) -> None:
        super().__init__(seed, features)
        at_least(19, permutations=permutations)
        at_least(2, rows=rows)
        self.permutations, self.rows = permutations, rows

    @property
    def settings(self) -> dict[str, Any]:
        return {"permutations": self.permutations, "rows": self.rows}

    def between(self, samples: Tensor, real: Tensor) -> Values:
        x, y = evenly(samples, self.rows), evenly(real, self.rows)
        both = torch.cat([x, y])
        size = 4 * 8 * len(both) ** 2
        rows_at_once(1, size, both.device, what="matrix of distances", lower="metric.mmd.rows")
        squared = torch.cat([block for _, block in squared_distances(both, both)])
        median = _median(squared)
        if median is None:  # all rows are the same
            return {"mmd2": 0.0, "p_value": 1.0, "p_value_aggregated": 1.0}
        groups = self._groups(len(x), len(y)).to(both.device)
        found = torch.stack([_mmd2(squared, b**2 * median, groups, len(x)) for b in BANDWIDTHS])
        scaled = found / found.std(1, keepdim=True)
        return {
            "mmd2": found[MEDIAN, 0].item(),
            "p_value": _p_value(found[MEDIAN]),
            "p_value_aggregated": _p_value(scaled.max(0).values),
        }

    def _groups(self, m: int, n: int) -> Tensor:
        """(m + n, 1 + permutations): 1 where a row counts as a sample; the first column is the truth."""
        truth = (torch.arange(m + n) < m).float()
        stream = generator("mmd", self.seed)
        others = [truth[torch.randperm(m + n, generator=stream)] for _ in range(self.permutations)]
        return torch.stack([truth, *others], 1)


def _median(squared: Tensor) -> float | None:
    """The median of the positive squared distances; None where there is none."""
    positive = squared[squared > 0]
    return positive.median().item() if len(positive) else None


def _mmd2(squared: Tensor, sigma2: float, groups: Tensor, m: int) -> Tensor:
    """(1 + P,) unbiased MMD² of each grouping of the rows. squared: (m + n, m + n)."""
    n = len(squared) - m
    kernel = (squared / (-2 * sigma2)).exp_().fill_diagonal_(0).float()
    with full_precision(kernel.device):
        to_samples = kernel @ groups  # (m + n, 1 + P): Σ_j k(i, j) over the samples j
    to_all = kernel.sum(1, dtype=torch.float64, keepdim=True)
    total, groups = to_all.sum(), groups.double()
    within = (groups * to_samples).sum(0)
    from_samples = (groups * to_all).sum(0)
    cross = from_samples - within
    others = total - from_samples - cross
    return within / (m * (m - 1)) + others / (n * (n - 1)) - 2 * cross / (m * n)


def _p_value(statistics: Tensor) -> float:
    """The share of groupings whose statistic is no smaller than the first's, which is among them."""
    return (statistics >= statistics[0]).double().mean().item()
