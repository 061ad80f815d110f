"""Precision and recall by nearest-neighbour balls.

Each set is taken to cover the union of the balls around its data that reach to their k-th nearest
neighbour. Precision is the share of samples in the balls of real data, recall the share of real data in
the balls of samples.
Source: T. Kynkäänniemi et al., Improved precision and recall metric for assessing generative models,
2019, arXiv:1904.06991.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.distances import radii, squared_distances
from genlab.ranges import at_least


class PrecisionRecall(SampleMetric):
    """``precision`` and ``recall`` in [0, 1]; higher is better. k: neighbours, without the datum itself."""

    name = "precision_recall"
    shown = ("precision", "recall")

    def __init__(self, seed: int = 0, k: int = 3, features: torch.nn.Module | None = None) -> None:
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
        return {
            "precision": covered(samples, real, radii(real, self.k)),
            "recall": covered(real, samples, radii(samples, self.k)),
        }


def covered(x: Tensor, centres: Tensor, squared_radii: Tensor) -> float:
    """The share of x: (M, d) inside at least one closed ball around centres: (N, d)."""
    inside = [(block <= squared_radii).any(1) for _, block in squared_distances(x, centres)]
    return torch.cat(inside).double().mean().item()
