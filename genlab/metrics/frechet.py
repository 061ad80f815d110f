"""Fréchet distance between Gaussians fitted to the features of samples and of real data.

  d² = ‖μ − ν‖² + Tr(S + T − 2 (S T)^½)

with means μ, ν and covariances S, T. Its bias falls as 1/n: only values of one n are comparable.
Source: M. Heusel et al., GANs trained by a two time-scale update rule, 2017, arXiv:1706.08500.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from genlab.metrics.base import SampleMetric, Values


class Frechet(SampleMetric):
    """``distance``: the squared Fréchet distance, 0 or greater up to rounding; lower is better.

    torchmetrics computes it, in float64, with the features in the place of its Inception network.
    """

    name = "frechet"
    shown = ("distance",)

    def between(self, samples: Tensor, real: Tensor) -> Values:
        inner = FrechetInceptionDistance(feature=_Given(samples.shape[1]), sync_on_compute=False)
        inner = inner.to(samples.device)
        inner.update(real.double(), real=True)
        inner.update(samples.double(), real=False)
        return {"distance": inner.compute().item()}


class _Given(nn.Module):
    """Features that are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x
