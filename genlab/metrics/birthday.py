"""The birthday paradox: how many different data a model can draw, from how often it repeats itself.

Among s draws from N equally likely data, s (s − 1) / 2N pairs are expected to be the same, and some pair
is with probability ½ at s = √(2 N ln 2). Where the data are not equally likely, 1 / Σ p² stands for N. Two
data count as the same if they are as near to each other as the two nearest of the real data.
Source: S. Arora, Y. Zhang, Do GANs actually learn the distribution? An empirical study, 2017,
arXiv:1706.08224, who look at the pairs by eye.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.distances import squared_distances

ROWS = 1024
SLACK = 1e-9  # relative, for rounding: float64 distances of equal pairs


class Birthday(SampleMetric):
    """``support``: the estimate of N, None where no pair is the same; higher is better.

    ``pairs``: how many are. ``support_low``, ``support_high``: the 95 % interval that the number of pairs,
    a Poisson variable, gives; the upper end is None for no pair. ``threshold``: the distance up to which
    two data are the same.
    """

    name = "birthday"
    space = "data"
    shown = ("support", "support_low")

    def between(self, samples: Tensor, real: Tensor) -> Values:
        threshold = nearest_pair(real)
        pairs = close_pairs(samples, threshold)
        everyone = math.comb(len(samples), 2)
        low, high = poisson_interval(pairs)
        return {
            "support": everyone / pairs if pairs else None,
            "support_low": everyone / high,
            "support_high": everyone / low if pairs else None,
            "pairs": pairs,
            "threshold": math.sqrt(threshold),
        }


def nearest_pair(x: Tensor) -> float:
    """The smallest squared distance between two rows of x: (N, d)."""
    return min(block.min().item() for block in _later(x))


def close_pairs(x: Tensor, threshold: float) -> int:
    """How many pairs of rows of x: (N, d) are at most this squared distance apart."""
    limit = threshold + SLACK * (1 + threshold)
    return sum(int((block <= limit).sum()) for block in _later(x))


def _later(x: Tensor) -> Iterator[Tensor]:
    """Squared distances of rows to the later ones; to the others they are infinite.

    In float64, but for bits, whose distances are exact in float32.
    """
    x = x if ((x == 0) | (x == 1)).all() else x.double()
    for start in range(0, len(x), ROWS):
        for first, block in squared_distances(x[start : start + ROWS], x[start:]):
            earlier = torch.ones_like(block, dtype=torch.bool).tril_(diagonal=first)
            yield block.masked_fill_(earlier, torch.inf)


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact 95 % interval of a Poisson mean from one count; one-sided (0, 3.0) for none.

    Source: F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 1936.
    """
    if count == 0:
        return 0.0, -math.log(0.05)
    return _poisson_mean(count - 1, 0.975), _poisson_mean(count, 0.025)


def _poisson_mean(count: int, probability: float) -> float:
    """The mean at which at most ``count`` events have this probability: bisection."""
    low, high = 0.0, count + 10 * math.sqrt(count + 1) + 10
    for _ in range(100):
        middle = (low + high) / 2
        shape = torch.tensor(count + 1.0, dtype=torch.float64)
        at_most = torch.special.gammaincc(shape, torch.tensor(middle, dtype=torch.float64)).item()
        low, high = (middle, high) if at_most > probability else (low, middle)
    return (low + high) / 2
