"""Small networks that know something, and every datum of their space."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Support
from genlab.randomness import generator, scope
from genlab_spn import LearnedSPN, RandomSPN

BITS = DataSpec("bits", "made up", (10,), Support.BINARY)
GREYS = DataSpec("greys", "3 levels", (1, 2, 3), Support.LEVELS, levels=3)


def some_data(spec: DataSpec, n: int = 600) -> Tensor:
    """(n, *shape): every entry follows an earlier one most of the time, and every second row has many
    zeros.
    """
    stream = generator("spn", spec.name)
    assert spec.levels is not None
    x = torch.randint(spec.levels, (n, spec.size), generator=stream)
    for d in range(1, spec.size):
        follows = torch.rand(n, generator=stream) < 0.8
        x[:, d] = torch.where(follows, x[:, d // 2], x[:, d])
    x[::2] *= torch.rand(x[::2].shape, generator=stream) < 0.3
    return x.float().div(spec.levels - 1).view(n, *spec.shape)


def every_datum(spec: DataSpec) -> Tensor:
    assert spec.levels is not None
    states = itertools.product(range(spec.levels), repeat=spec.size)
    return torch.tensor(list(states)).float().div(spec.levels - 1).view(-1, *spec.shape)


def random(spec: DataSpec = BITS, **options) -> RandomSPN:
    """With weights far from equal, as they are after training."""
    with scope("random network"):
        model = RandomSPN(spec, **{"repetitions": 3, "sums": 4, "leaves": 3, **options})
        for theta in model.theta:
            theta.data.mul_(2)
    return model.eval().requires_grad_(False)


def learned(spec: DataSpec = BITS, x: Tensor | None = None, seed: int = 0, **options) -> LearnedSPN:
    model = LearnedSPN(spec, **{"min_rows": 100, **options})
    with torch.no_grad(), scope("learn", seed):
        model.learn([Batch(part) for part in (some_data(spec) if x is None else x).chunk(3)])
    return model.eval().requires_grad_(False)


NETWORKS = {
    "random, no depth": lambda: random(depth=0),
    "random, one halving": lambda: random(depth=1, repetitions=1),
    "random, two halvings": lambda: random(depth=2),
    "random, three halvings": lambda: random(depth=3, sums=2, leaves=5),
    "random, levels": lambda: random(GREYS, depth=2),
    "learned": learned,
    "learned, univariate leaves": lambda: learned(min_rows=2, significance=1e-12),
    "learned, a tree": lambda: learned(min_rows=10_000),
    "learned, three networks": lambda: learned(networks=3),
    "learned, levels": lambda: learned(GREYS),
    "before learning": lambda: LearnedSPN(BITS).eval().requires_grad_(False),
}
