"""Memorisation: are samples nearer to the training data than data are that the model has not seen?

A one-sided Mann-Whitney test of d(sample, nearest training datum) against d(held-out, nearest training
datum), over all of space at once.
Source: C. Meehan, K. Chaudhuri, S. Dasgupta, A non-parametric test to detect data-copying in generative
models, 2020, arXiv:2004.05675, whose statistic this is in one cell.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.contracts import UsageError
from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.distances import nearest


class Memorisation(SampleMetric):
    """``z``: far below 0 for a model that copies training data, far above for one that misses them.

    ``p_value``: of copying, one-sided. ``farther``: probability that a sample is farther from the
    training data than a held-out datum, ½ for equal distributions. ``copies``: the share of samples that
    are training data; ``copies_held_out``: the same share of held-out data.
    """

    name = "memorisation"
    space = "data"
    shown = ("z", "copies")
    needs_train = True
    train: Tensor | None = None

    def prepare(self, train: Tensor) -> None:
        self.train = self.vectors(train)

    def between(self, samples: Tensor, real: Tensor) -> Values:
        if self.train is None or not len(self.train):
            raise UsageError("metric.memorisation needs training data: call prepare(train) first")
        own, held_out = nearest(samples, self.train), nearest(real, self.train)
        farther, z = mann_whitney(own, held_out)
        return {
            "z": z,
            "p_value": normal_cdf(z),
            "farther": farther,
            "copies": (own == 0).double().mean().item(),
            "copies_held_out": (held_out == 0).double().mean().item(),
        }


def mann_whitney(x: Tensor, y: Tensor) -> tuple[float, float]:
    """(probability that x > y, ties counting half; its z), of x: (M,) and y: (N,).

    The variance is corrected for ties. z is 0 where all values are equal.
    """
    m, n = len(x), len(y)
    values, inverse, counts = torch.cat([x, y]).unique(return_inverse=True, return_counts=True)
    upto = counts.cumsum(0).double()
    ranks = (upto - (counts.double() - 1) / 2)[inverse]
    u = ranks[:m].sum().item() - m * (m + 1) / 2
    total, ties = m + n, (counts.double() ** 3 - counts).sum().item()
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    z = (u - m * n / 2) / math.sqrt(variance) if len(values) > 1 else 0.0
    return u / (m * n), z


def normal_cdf(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2
