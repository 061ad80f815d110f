"""The tests behind the verdicts, at levels at which an honest model fails once in thousands of runs.

The suite's generators are keyed, so a verdict is the same at every run of the same model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RARE = 5.0  # cells expected less often are pooled: the chi-square law needs a few counts in each
COMMON = 50.0  # likewise, where each cell is looked at on its own
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
    counts, expected = _pooled(counts, rare), _pooled(expected, rare)
    if bool((counts[expected == 0] > 0).any()):
        return 0.0
    seen = expected > 0
    g = 2 * torch.special.xlogy(counts[seen], counts[seen] / expected[seen]).sum()
    return chi2_sf(max(0.0, float(g)), int(seen.sum()) - 1) if seen.sum() > 1 else 1.0


def _pooled(values: Tensor, rare: Tensor) -> Tensor:
    """The values that are not rare, and last the sum of those that are."""
    return torch.cat([values[~rare], values[rare].sum()[None]])


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

    def sigmas(self, other: Estimate | Tensor | float, rounding: float = 1e-4) -> Tensor:
        """By how many standard errors this is above the other; rounding: what is no difference."""
        if isinstance(other, Estimate):
            difference = self.mean - other.mean
            error = (self.error.square() + other.error.square()).sqrt()
        else:
            difference, error = self.mean - other, self.error
        excess = difference.sign() * (difference.abs() - rounding).clamp(min=0)
        return excess / error.clamp(min=1e-12)


def against_counts(predicted: Estimate, counts: Tensor) -> tuple[Tensor, list[str]]:
    """By how many standard errors each predicted mass: (C,) is above its frequency in counts: (C,).

    Cells predicted fewer than COMMON times are pooled into a last one: where counts are small their
    law is skewed, and the worst of many cells would be called a fault. Returns the words for each, too.
    """
    n = counts.sum().double()
    rare = predicted.mean * n < COMMON
    mean, seen = _pooled(predicted.mean, rare), _pooled(counts.double(), rare) / n
    error = (_pooled(predicted.error, rare).square() + mean * (1 - mean).clamp(min=0) / n).sqrt()
    words = [f"{p:.4f} against a frequency of {f:.4f}" for p, f in zip(mean, seen, strict=True)]
    return Estimate(mean, error).sigmas(seen), words
