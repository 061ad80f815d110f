"""Density and coverage: how many samples fall into the balls around real data, how many balls have one.

The ball around a real datum reaches to its k-th nearest real neighbour. No ball is drawn around a sample,
so outliers among the samples change neither. For equal distributions, M samples and N real data, the
expected density is 1 and the expected coverage 1 − Π_{i<k} (N − 1 − i) / (N + M − 1 − i), which is 0.969
for k = 5 and M = N.
Source: M. F. Naeem et al., Reliable fidelity and diversity metrics for generative models, 2020,
arXiv:2002.09797.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.distances import radii, squared_distances
from genlab.ranges import at_least


class DensityCoverage(SampleMetric):
    """``density`` (0 or greater, 1 for equal distributions) and ``coverage`` in [0, 1]."""

    name = "density_coverage"
    shown = ("density", "coverage")

    def __init__(self, seed: int = 0, k: int = 5, features: torch.nn.Module | None = None) -> None:
        super().__init__(seed, features)
        at_least(1, k=k)
        self.k = k

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    @property
    def least(self) -> int:
        return self.k + 1

    def between(self, samples: Tensor, real: Tensor) -> Values:
        squared_radii = radii(real, self.k)
        visits = torch.zeros(len(real), dtype=torch.int64, device=real.device)
        for _, block in squared_distances(samples, real):
            visits += (block <= squared_radii).sum(0)
        return {
            "density": visits.sum().item() / (self.k * len(samples)),
            "coverage": (visits > 0).double().mean().item(),
        }


def expected_coverage(samples: int, real: int, k: int) -> float:
    """Of equal continuous distributions: none of the samples is nearer than the k-th real neighbour."""
    missed = [(real - 1 - i) / (real + samples - 1 - i) for i in range(k)]
    return 1 - math.prod(missed)
