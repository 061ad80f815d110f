"""The tests behind the verdicts, at levels at which an honest model fails once in thousands of runs.

The suite's generators are keyed, so a verdict is the same at every run of the same model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RARE = 5.0  # cells expected less often are pooled: the chi-square law needs a few counts in each
SIGNIFICANT = 1e-4
SIGMAS = 4.0  # of a single comparison
MANY_SIGMAS = 5.0  # of the worst of many comparisons


def chi2_sf(x: float, freedom: int) -> float:
    """P(X > x) of a chi-square variable: the regularised upper incomplete gamma Q(freedom/2, x/2).

    >>> round(chi2_sf(3.841, 1), 3)
    0.05
    """
    half = torch.tensor([freedom / 2, x / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def g_test(counts: Tensor, probabilities: Tensor) -> float:
    """p-value of counts: (C,) under probabilities: (C,), which sum to one; rare cells are pooled.

    G = 2 Σ O log(O / E), Sokal & Rohlf, Biometry (1981). Counts in cells of probability
    zero, and probabilities that are no numbers, give 0.
    """
    counts, expected = counts.double(), counts.sum() * probabilities.double()
    if not expected.isfinite().all():
        return 0.0
    rare = expected < RARE
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    if bool((counts[expected == 0] > 0).any()):
        return 0.0
    seen = expected > 0
    g = 2 * torch.special.xlogy(counts[seen], counts[seen] / expected[seen]).sum()
    return chi2_sf(max(0.0, float(g)), int(seen.sum()) - 1) if seen.sum() > 1 else 1.0


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error, entry by entry."""

    mean: Tensor
    error: Tensor

    @classmethod
    def of(cls, repeats: Tensor) -> Estimate:
        """From independent repeats: (R, …) of the same quantity."""
        repeats = repeats.double()
        return cls(repeats.mean(0), repeats.std(0) / len(repeats) ** 0.5)

    def sigmas(self, other: Estimate | float, rounding: float = 1e-4) -> Tensor:
        """By how many standard errors this is above the other; rounding: what is no difference."""
        if isinstance(other, Estimate):
            difference = self.mean - other.mean
            error = (self.error.square() + other.error.square()).sqrt()
        else:
            difference, error = self.mean - other, self.error
        excess = difference.sign() * (difference.abs() - rounding).clamp(min=0)
        return excess / error.clamp(min=1e-12)


def frequencies(counts: Tensor) -> Estimate:
    """The probability of each cell from counts: (C,), with binomial errors (of one count at least)."""
    n, counts = counts.sum().double(), counts.double()
    p = counts / n
    return Estimate(p, (p * (1 - p)).clamp(min=1 / float(n)).sqrt() / n.sqrt())
