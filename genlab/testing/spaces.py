"""Spaces small enough to be seen whole, and a skewed distribution on each to train on.

A model near uniform hides every fault (a wrong order of dimensions, a sampler that ignores its input),
so the training data are at least one nat away from uniform, have dependent entries, and no symmetry of
the space leaves them as they are. On REAL spaces neither mean nor scale is standard: a forgotten
Jacobian of a learned scale would be invisible at scale one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from itertools import product

import torch
from torch import Generator, Tensor

from genlab.contracts import DataSpec, Support

MOST_BITS = 16  # of a space that is enumerated
PROTOTYPES = torch.tensor([0.75, 0.15, 0.10])  # how often each of three prototypes is drawn
COLUMNS = (
    (1, 0, 0),
    (1, 1, 0),
    (0, 1, 0),
    (0, 0, 1),
)  # entry d of the prototypes is COLUMNS[d % 4]
SHARPNESS = 3.0  # an entry k levels away from its prototype is e^-3k times as likely
MEANS = torch.tensor([[1.5, -1.0], [-0.5, 1.0], [0.5, 2.0]])  # of the prototypes, on REAL spaces
SPREADS = torch.tensor([0.4, 0.6])  # of the entries around them


LABELS = 3  # the prototypes


def _spec(support: Support, *shape: int, levels: int | None = None) -> DataSpec:
    return DataSpec("conformance", "skewed", shape, support, levels)


SMALL: dict[Support, tuple[DataSpec, ...]] = {
    Support.BINARY: tuple(_spec(Support.BINARY, 1, n, n) for n in (2, 3, 4)),
    Support.LEVELS: (_spec(Support.LEVELS, 1, 2, 2, levels=5),),
    Support.REAL: (_spec(Support.REAL, 2), _spec(Support.REAL, 1)),
}
LABELLED = {
    support: tuple(replace(spec, classes=LABELS) for spec in specs)
    for support, specs in SMALL.items()
}


class Space(ABC):
    """The states of a spec with their volumes, cells to count samples in, and training data.

    states: (S, *shape). volume: of each state: 1 where probabilities are masses, dx where densities.
    cell: (S,) int64 the cell of each state, of ``cells`` in all. coarse: the same cells with fewer
    states, for what is expensive. tolerance: within which a sum over the states is one.
    """

    spec: DataSpec
    states: Tensor
    volume: float = 1.0
    cell: Tensor
    cells: int
    enumerable = True
    tolerance = 1e-5

    @property
    def title(self) -> str:
        shape = "x".join(map(str, self.spec.shape))
        levels = f" {self.spec.levels} levels" if self.spec.support is Support.LEVELS else ""
        labels = f" {self.spec.classes} labels" if self.spec.classes else ""
        return f"{self.spec.support.name} {shape}{levels}{labels}"

    @property
    def coarse(self) -> Space:
        return self

    @abstractmethod
    def draw(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """x: (n, *shape) of the skewed distribution, and (n,) int64 which prototype each comes from."""

    @abstractmethod
    def cell_of(self, x: Tensor) -> Tensor:
        """(n,) int64 the cell of each row; ``cells`` for what is in none."""

    @abstractmethod
    def distance_from_uninformed(self, x: Tensor) -> float:
        """Nats that x: (n, *shape) are away, at least, from a distribution that knows nothing."""

    def counts(self, x: Tensor) -> Tensor:
        """(cells + 1,) how many rows of x lie in each cell, and last: in none."""
        return torch.bincount(self.cell_of(x), minlength=self.cells + 1)

    def masses(self, log_p: Tensor) -> Tensor:
        """(…, cells) the probability of each cell from log p: (…, S) of each state."""
        p = log_p.double().exp() * self.volume
        return p.new_zeros(*p.shape[:-1], self.cells).index_add(-1, self.cell, p)


class Discrete(Space):
    """BINARY and LEVELS: the cells are the states. A space too large shows a few of its states only."""

    def __init__(self, spec: DataSpec) -> None:
        assert spec.levels is not None
        self.spec, self.levels = spec, spec.levels
        self.enumerable = spec.size * math.log2(spec.levels) <= MOST_BITS
        if self.enumerable:
            grid = torch.tensor(list(product(range(spec.levels), repeat=spec.size)))
            self.states = self._datum(grid)
            self.cells = len(grid)
            self.cell = torch.arange(self.cells)
        else:
            generator = torch.Generator().manual_seed(0)
            self.states = self.draw(256, generator)[0]

    def _datum(self, level: Tensor) -> Tensor:
        return (level.float() / (self.levels - 1)).unflatten(1, self.spec.shape)

    @cached_property
    def prototypes(self) -> Tensor:
        """(3, D) levels. With more than two levels, what is off is black or one level above it."""
        bits = torch.tensor(COLUMNS).repeat(-(-self.spec.size // 4), 1)[: self.spec.size].T
        off = torch.arange(self.spec.size) % 2 if self.levels > 2 else torch.zeros(self.spec.size)
        return torch.where(bits == 1, self.levels - 1, off.long())

    @cached_property
    def kernel(self) -> Tensor:
        """(L, L) the distribution of an entry given the level of its prototype."""
        level = torch.arange(self.levels)
        return (-SHARPNESS * (level[:, None] - level).abs()).float().softmax(1)

    def draw(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        which = torch.multinomial(PROTOTYPES, n, replacement=True, generator=generator)
        entries = self.kernel[self.prototypes[which]].flatten(0, 1)
        level = torch.multinomial(entries, 1, generator=generator).view(n, -1)
        return self._datum(level), which

    def target(self) -> Tensor:
        """(S,) the skewed distribution."""
        level = (self.states.flatten(1) * (self.levels - 1)).round().long()
        each = [self.kernel[p, level].double().prod(1) for p in self.prototypes]
        return torch.stack(each, 1) @ PROTOTYPES.double()

    def cell_of(self, x: Tensor) -> Tensor:
        level = (x.flatten(1) * (self.levels - 1)).round().long()
        inside = ((level >= 0) & (level < self.levels)).all(1) & x.flatten(1).isfinite().all(1)
        place = self.levels ** torch.arange(self.spec.size - 1, -1, -1)
        return torch.where(inside, (level.clamp(0, self.levels - 1) * place).sum(1), self.cells)

    def distance_from_uninformed(self, x: Tensor) -> float:
        """Σ_d KL(p_d ‖ uniform), which is at most KL(p ‖ uniform) and needs few samples."""
        level = (x.flatten(1) * (self.levels - 1)).round().long().clamp(0, self.levels - 1)
        p = torch.nn.functional.one_hot(level, self.levels).double().mean(0)
        return float(torch.special.xlogy(p, p * self.levels).sum())


class Grid(Space):
    """REAL data of one or two entries, integrated at the midpoints of squares over [-8, 8]^D."""

    reach = 8.0
    bins = 40  # per axis, in which samples are counted
    tolerance = (
        0.01  # part of an honest model's tail is out of reach, and a midpoint is not an integral
    )

    def __init__(self, spec: DataSpec, per_bin: int | None = None) -> None:
        self.spec, size = spec, spec.size
        per_bin = per_bin or (4 if size == 2 else 40)
        step = 2 * self.reach / (self.bins * per_bin)
        axis = torch.arange(self.bins * per_bin)
        nodes = torch.cartesian_prod(*[axis] * size).view(-1, size)
        self.states = ((nodes + 0.5) * step - self.reach).view(-1, *spec.shape)
        self.volume = step**size
        self.cells = self.bins**size
        self.cell = self._cell(nodes // per_bin)

    @cached_property
    def coarse(self) -> Grid:
        return Grid(self.spec, per_bin=2 if self.spec.size == 2 else 10)

    def _cell(self, bins: Tensor) -> Tensor:
        return (bins * self.bins ** torch.arange(self.spec.size - 1, -1, -1)).sum(1)

    def draw(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        size = self.spec.size
        which = torch.multinomial(PROTOTYPES, n, replacement=True, generator=generator)
        noise = torch.randn(n, size, generator=generator)
        x = MEANS[which, :size] + SPREADS[:size] * noise
        return x.view(-1, *self.spec.shape), which

    def target(self) -> Tensor:
        """(S,) the density of the skewed distribution at each state."""
        size = self.spec.size
        normal = torch.distributions.Normal(MEANS[:, :size], SPREADS[:size])
        log_p = normal.log_prob(self.states.view(-1, 1, size)).sum(2) + PROTOTYPES.log()
        return log_p.double().logsumexp(1).exp()

    def cell_of(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        inside = (flat.abs() < self.reach).all(1)
        bins = ((flat.nan_to_num() + self.reach) * self.bins / (2 * self.reach)).floor()
        return torch.where(inside, self._cell(bins.clamp(0, self.bins - 1).long()), self.cells)

    def distance_from_uninformed(self, x: Tensor) -> float:
        return _distance_from_normal(x)


class Open(Space):
    """REAL data of more than two entries, which no grid covers: its states are a few draws."""

    enumerable = False

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec
        self.states = self.draw(256, torch.Generator().manual_seed(0))[0]

    def draw(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        pairs = -(-self.spec.size // 2)
        plane = Grid(replace(self.spec, shape=(2,)), per_bin=1)
        draws = [plane.draw(n, generator) for _ in range(pairs)]
        x = torch.cat([x for x, _ in draws], dim=1)[:, : self.spec.size]
        return x.reshape(n, *self.spec.shape), draws[0][1]

    def cell_of(self, x: Tensor) -> Tensor:
        raise NotImplementedError("a space that is not enumerable has no cells")

    def distance_from_uninformed(self, x: Tensor) -> float:
        return _distance_from_normal(x)


def _distance_from_normal(x: Tensor) -> float:
    """KL(N(mean, variances of x) ‖ N(0, 1)): how far location and scale are from where models start."""
    flat = x.flatten(1).double()
    mean, variance = flat.mean(0), flat.var(0)
    return float((variance + mean.square() - 1 - variance.log()).sum() / 2)


def space_of(spec: DataSpec) -> Space:
    if spec.support is not Support.REAL:
        return Discrete(spec)
    return Grid(spec) if spec.size <= 2 else Open(spec)
