"""A flow of zuko's as a model. Mathematics: the package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import zuko
from torch import Generator, Tensor
from torch.distributions import Distribution
from torch.special import ndtr, ndtri

from genlab.contracts import (
    Batch,
    DataSpec,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasImportanceWeights,
    HasLikelihood,
    LogLikelihood,
    Measure,
    Stage,
    UsageError,
)
from genlab.nn.precision import full_precision

Distribution.set_default_validate_args(__debug__)  # as torch has it: importing zuko turns it off
EDGE = 1e-12  # u is kept so far from 0 and 1, where Φ⁻¹ is infinite


class Flow(GenerativeModel, HasLikelihood, HasImportanceWeights, HasEncoder):
    """Masked autoregressive flow, or neural spline flow. The code of a datum is its noise z.

    transforms: how many are composed. hidden: widths of each one's network. bins: of a spline, 2 or more;
    None makes the functions affine. passes: in which a transformation is inverted; None is one for each
    number of a datum, 2 is coupling, which samples faster and says less.
    On REAL data each importance weight is p(x) itself. Raises UsageError for options out of range.
    """

    def __init__(
        self,
        spec: DataSpec,
        transforms: int = 3,
        hidden: tuple[int, ...] = (64, 64),
        bins: int | None = None,
        passes: int | None = None,
    ) -> None:
        super().__init__(spec)
        least = {"transforms": 1, "hidden": 1, "bins": 2, "passes": 2}
        given = transforms, min(hidden, default=1), bins, passes
        for (name, low), value in zip(least.items(), given, strict=True):
            if value is not None and value < low:
                raise UsageError(f"model.{name}={value} must be at least {low}")
        kind = zuko.flows.MAF if bins is None else partial(zuko.flows.NSF, bins=bins)
        self.flow = kind(spec.size, transforms=transforms, hidden_features=hidden, passes=passes)
        self.levels = spec.levels
        self.guarantee = Guarantee.EXACT if self.levels is None else Guarantee.LOWER_BOUND

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, lr_schedule="cosine", patience=20),)

    def loss(self, batch: Batch) -> Tensor:
        return -self.log_weight(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_weight(batch.x)}

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        nats = self.log_weights(x, 1, label=label, generator=generator)[0]
        method = "change of variables" if self.levels is None else "uniform dequantisation"
        return LogLikelihood(nats, self.guarantee, Measure.of(self.spec), method)

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        self.refuse_label(label)
        many = x if self.levels is None else x.repeat(k, *[1] * (x.ndim - 1))
        return self.log_weight(many, generator).view(-1, len(x)).expand(k, -1)

    def log_weight(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """(B,) log w, which is log p(x) on REAL data; None is torch's default generator."""
        if self.levels is None:
            return self.log_density(x.flatten(1))
        epsilon = torch.rand(x.shape, generator=generator, device=x.device, dtype=torch.float64)
        y = self.place(x, epsilon)
        normal = -(y.square() + math.log(2 * math.pi)) / 2
        return self.log_density(y) - (normal + math.log(self.levels)).sum(1)

    def log_density(self, y: Tensor) -> Tensor:
        """(B,) log p(y) of y: (B, D)."""
        with full_precision(y.device):
            return self.flow().log_prob(y)

    def place(self, x: Tensor, epsilon: Tensor | float = 0.5) -> Tensor:
        """y: (B, D) of x: (B, *shape), at epsilon: (B, *shape) in [0, 1) of the cells of discrete data."""
        if self.levels is None:
            return x.flatten(1)
        u = ((x.double() * (self.levels - 1)).round() + epsilon) / self.levels
        return ndtri(u.clamp(EDGE, 1 - EDGE)).flatten(1).to(x.dtype)

    def encode(self, x: Tensor) -> Tensor:
        with full_precision(x.device):
            return self.flow().transform(self.place(x))

    def decode(self, z: Tensor) -> Tensor:
        """The one x: (B, *shape) that z: (B, D) makes."""
        with full_precision(z.device):
            y = self.flow().transform.inv(z)
        if self.levels is not None:
            level = (ndtr(y.double()) * self.levels).floor().clamp(max=self.levels - 1)
            y = (level / (self.levels - 1)).to(y.dtype)
        return y.unflatten(1, self.spec.shape)

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """Noise, inverted; zuko's own ``sample`` takes no generator."""
        self.refuse_label(label)
        noise = torch.randn(n, self.spec.size, generator=generator, device=self.device)
        return self.decode(noise.to(self.dtype))
