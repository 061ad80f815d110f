"""Kernel distance: the unbiased squared maximum mean discrepancy (MMD²) of a cubic kernel.

  k(x, y) = (x·y / d + 1)³
  MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{ij} k(x_i, y_j)

of features in d dimensions. Unlike the Fréchet distance it has no bias, and may be below zero.
Source: M. Bińkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.distances import block_rows


class Kernel(SampleMetric):
    """``distance``: MMD² over all pairs, of expectation 0 for equal distributions; lower is better."""

    name = "kernel"
    shown = ("distance",)

    def between(self, samples: Tensor, real: Tensor) -> Values:
        x, y = samples.double(), real.double()
        cross = _sum(x, y) / (len(x) * len(y))
        return {"distance": _mean_of_others(x) + _mean_of_others(y) - 2 * cross}


def _mean_of_others(x: Tensor) -> float:
    """Mean of k(x_i, x_j) over i ≠ j."""
    own = _cubic(x.square().sum(1), x.shape[1]).sum().item()
    return (_sum(x, x) - own) / (len(x) * (len(x) - 1))


def _sum(x: Tensor, y: Tensor) -> float:
    parts = [_cubic(part @ y.T, x.shape[1]).sum() for part in x.split(block_rows(x, y))]
    return torch.stack(parts).sum().item()


def _cubic(product: Tensor, d: int) -> Tensor:
    return (product / d + 1) ** 3
