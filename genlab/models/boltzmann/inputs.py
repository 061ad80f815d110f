"""How a datum becomes visible units, and back.

Bits are units as they are. Reals and grey levels become Gaussian units of variance one given the hidden
ones: v = (x − m) / σ with m the mean of the data and σ learned, entry by entry. A level k of L is a
cell of the line, [k, k + 1) / L, the outermost cells open to infinity; its probability is the integral
of the density of v over the cell, estimated without bias by a draw from a Gaussian cut off at the
cell's ends (Ho, Chen, Srinivas, Duan, Abbeel: Flow++, 2019, https://arxiv.org/abs/1902.00275, section
3.1). Its tails of 1e-12 are never drawn: what the density of v has there is missing, so that errs low.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import DataSpec, Support
from genlab.models.boltzmann.units import HALF_LOG_2PI, Bernoulli, Gaussian, Units


class Inputs(nn.Module, ABC):
    """units: the visible units (D of them). x: (B, *shape) data, v: (B, D) states."""

    units: Units

    def begin(self, x: Tensor) -> None:
        """Take what is needed from data x: (N, *shape)."""

    @abstractmethod
    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """v and log_scale: (B,) with p(x) = E[exp(log_scale) p(v)]."""

    @abstractmethod
    def mean(self, x: Tensor) -> Tensor:
        """v without noise."""

    @abstractmethod
    def back(self, v: Tensor) -> Tensor:
        """x of draws v, inside the support."""

    @abstractmethod
    def expected(self, v: Tensor) -> Tensor:
        """x of means v: between the values of the support."""


class Bits(Inputs):
    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.shape, self.units = spec.shape, Bernoulli(spec.size)

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))

    def mean(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def back(self, v: Tensor) -> Tensor:
        return v.unflatten(1, self.shape)

    def expected(self, v: Tensor) -> Tensor:
        return v.unflatten(1, self.shape)


class Reals(Inputs):
    """centre: m (D,). log_width: log σ (D,), learned with the machine."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.shape, self.units = spec.shape, Gaussian(spec.size)
        self.log_width = nn.Parameter(torch.zeros(spec.size))
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(spec.size))

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        x = self._line(x)
        self.centre.copy_(x.mean(0))
        self.log_width.copy_((x.var(0, correction=0) + self._floor()).sqrt().log())

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        return self.mean(x), -self.log_width.sum().expand(len(x))

    def mean(self, x: Tensor) -> Tensor:
        return (self._line(x) - self.centre) * (-self.log_width).exp()

    def back(self, v: Tensor) -> Tensor:
        return (v * self.log_width.exp() + self.centre).unflatten(1, self.shape)

    def expected(self, v: Tensor) -> Tensor:
        return self.back(v)

    def _line(self, x: Tensor) -> Tensor:
        """(B, D) where x lies on the line."""
        return x.flatten(1)

    def _floor(self) -> float:
        """The smallest variance to begin with."""
        return 1e-6


class Greys(Reals):
    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        assert spec.levels is not None
        self.levels = spec.levels

    def forward(self, x: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draws t of N(0, 1) cut off at the ends of the cell, seen from its middle; 1 / q(t) is the
        scale.
        """
        half = 0.5 / self.levels * (-self.log_width).exp().double()
        low = torch.special.ndtr(-half).expand(len(x), -1)
        line = x.flatten(1)
        low = low.masked_fill(line < 0.25 / self.levels, 0.0)
        high = torch.special.ndtr(half).expand(len(x), -1)
        high = high.masked_fill(line > 1 - 0.25 / self.levels, 1.0)
        u = torch.rand(line.shape, generator=generator, dtype=torch.float64, device=x.device)
        mass = high - low
        t = torch.special.ndtri(low + (1e-12 + (1 - 2e-12) * u) * mass)
        log_scale = (0.5 * t.square() + HALF_LOG_2PI + mass.log()).sum(1)
        return self.mean(x) + t.to(x.dtype), log_scale.to(x.dtype)

    def back(self, v: Tensor) -> Tensor:
        line = v * self.log_width.exp() + self.centre
        level = (line * self.levels).floor().clamp(0, self.levels - 1)
        return (level / (self.levels - 1)).unflatten(1, self.shape)

    def expected(self, v: Tensor) -> Tensor:
        line = v * self.log_width.exp() + self.centre
        x = (line * self.levels - 0.5) / (self.levels - 1)
        return x.clamp(0, 1).unflatten(1, self.shape)

    def _line(self, x: Tensor) -> Tensor:
        """The middle of the cell."""
        return (x.flatten(1) * (self.levels - 1) + 0.5) / self.levels

    def _floor(self) -> float:
        """The variance of a uniform number in a cell."""
        return 1 / (12 * self.levels**2)


INPUTS: dict[Support, type[Inputs]] = {
    Support.BINARY: Bits,
    Support.LEVELS: Greys,
    Support.REAL: Reals,
}


def inputs_for(spec: DataSpec) -> Inputs:
    """What serves the support."""
    return INPUTS[spec.support](spec)  # type: ignore[call-arg]
