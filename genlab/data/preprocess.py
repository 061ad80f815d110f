"""What a model sees of a source's numbers, and the support and variant that makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.contracts import Support, UsageError
from genlab.data.source import Source
from genlab.randomness import generator


class Preprocess(ABC):
    """Makes the data of one support out of a source's arrays.

    support: of the data it makes. redraws: whether the training data change with the epoch.
    """

    support: ClassVar[Support]
    redraws: ClassVar[bool] = False

    def check(self, source: Source) -> None:
        """Raise UsageError where this preprocess cannot take the source. Reads no file."""
        if source.levels is None:
            raise UsageError(
                f"{type(self).__name__} takes whole numbers; {source.name} has real numbers: "
                "use genlab.data.Standardise"
            )

    @abstractmethod
    def variant(self, source: Source) -> str:
        """Which version of the data this makes. Reads no file."""

    @abstractmethod
    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        """(N, *shape): 0 or 1, or the level, as uint8; float32 on REAL. epoch: 0 but for training."""

    def log_scale(self, source: Source) -> float:
        """Sum over d of log σ_d (nats) of the standardisation."""
        return 0.0


class AsIs(Preprocess):
    """Data that are binary already."""

    support = Support.BINARY

    def check(self, source: Source) -> None:
        super().check(source)
        if source.levels != 2:
            raise UsageError(
                f"AsIs takes 0/1 data; {source.name} has {source.levels} levels: "
                "use genlab.data.Threshold, Bernoulli or Levels"
            )

    def variant(self, source: Source) -> str:
        return "fixed"

    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        return torch.from_numpy(source.arrays(split).x)


class Levels(Preprocess):
    """All the levels of the source: k / (levels - 1) in [0, 1]."""

    support = Support.LEVELS

    def variant(self, source: Source) -> str:
        return f"{source.levels} levels"

    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        return torch.from_numpy(source.arrays(split).x)


class Threshold(Preprocess):
    """1 where the source's number is at least ``at``."""

    support = Support.BINARY

    def __init__(self, at: float) -> None:
        self.at = at

    def check(self, source: Source) -> None:
        if source.levels is not None and not 0 < self.at <= source.levels - 1:
            raise UsageError(
                f"threshold at={self.at:g} must lie in 1 … {source.levels - 1}, "
                f"the levels of {source.name}"
            )

    def variant(self, source: Source) -> str:
        return f"threshold {self.at:g}"

    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        return torch.from_numpy((source.arrays(split).x >= self.at).view(np.uint8))


class Bernoulli(Preprocess):
    """Each entry is 1 with probability k / (levels - 1), its grey value.

    Validation and test data are drawn once, from ``seed``. Training data are drawn anew in each epoch,
    as a function of (seed, epoch) alone: not of the batches, the ranks or what ran before.
    Source: R. Salakhutdinov, I. Murray, On the quantitative analysis of deep belief networks, ICML 2008
    (one draw); Y. Burda et al., Importance weighted autoencoders, arXiv:1509.00519 (one per epoch).
    """

    support = Support.BINARY
    redraws = True

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def variant(self, source: Source) -> str:
        return "dynamic" if self.seed == 0 else f"dynamic, seed {self.seed}"

    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        level = torch.from_numpy(source.arrays(split).x)
        assert source.levels is not None
        stream = generator("bernoulli", self.seed, split, epoch)
        # u is uniform on 0 … levels - 2, so u < k with probability k / (levels - 1), exactly
        u = torch.empty_like(level).random_(0, source.levels - 1, generator=stream)
        return u.lt_(level)


class Standardise(Preprocess):
    """Real numbers less their mean, divided by their standard deviation σ_d over the training data."""

    support = Support.REAL

    def check(self, source: Source) -> None:
        """Every source has numbers to standardise."""

    def variant(self, source: Source) -> str:
        return "standardised"

    def values(self, source: Source, split: str, epoch: int = 0) -> Tensor:
        mean, sigma = self.moments(source)
        return torch.from_numpy(((source.arrays(split).x - mean) / sigma).astype(np.float32))

    def log_scale(self, source: Source) -> float:
        return float(np.log(self.moments(source)[1]).sum())

    def moments(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """(*shape) float64 mean and σ of the training data. Raises UsageError where a σ is 0."""
        x = source.arrays("train").x
        mean, sigma = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
        if not sigma.all():
            where = tuple(int(i) for i in np.argwhere(sigma == 0)[0])
            raise UsageError(
                f"{source.name} cannot be standardised: entry {where} is constant over the "
                "training data; leave it out"
            )
        return mean, sigma
