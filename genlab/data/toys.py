"""Points in the plane whose shape anybody recognises: densities to look at.

Sources of the shapes: D. Duvenaud's pinwheel; the swiss roll of J. Sohl-Dickstein et al.,
arXiv:1503.03585; moons and eight Gaussians as in W. Grathwohl et al., FFJORD, arXiv:1810.01367.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from genlab.contracts import UsageError
from genlab.data.names import check_name
from genlab.data.source import Arrays, Source
from genlab.randomness import generator


def swiss_roll(n: int, stream: Generator, noise: float = 0.2) -> tuple[Tensor, Tensor | None]:
    """Radius and angle φ grow together, φ from 1.5π to 4.5π; noise of width 0.2; the radius is φ/3."""
    angle = math.pi * (1.5 + 3 * torch.rand(n, generator=stream))
    points = angle[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return points / 3 + noise * torch.randn(n, 2, generator=stream), None


def moons(n: int, stream: Generator, noise: float = 0.1) -> tuple[Tensor, Tensor | None]:
    """Two half circles of radius 1 that interlock; noise of width 0.1; the label says which."""
    label = torch.randint(2, (n,), generator=stream)
    angle = math.pi * (torch.rand(n, generator=stream) + label)
    points = torch.stack([angle.cos() + label, angle.sin() + 0.5 * label], 1)
    return points + noise * torch.randn(n, 2, generator=stream), label


def pinwheel(n: int, stream: Generator) -> tuple[Tensor, Tensor | None]:
    """Five arms, Gaussians along a radius, twisted the more the farther out; the label says which."""
    label = torch.randint(5, (n,), generator=stream)
    arm = torch.randn(n, 2, generator=stream) * torch.tensor([0.3, 0.1]) + torch.tensor([1.0, 0.0])
    angle = 2 * math.pi * label / 5 + 0.25 * arm[:, 0].exp()
    x = arm[:, 0] * angle.cos() - arm[:, 1] * angle.sin()
    y = arm[:, 0] * angle.sin() + arm[:, 1] * angle.cos()
    return 2 * torch.stack([x, y], 1), label


def eight_gaussians(n: int, stream: Generator, noise: float = 0.35) -> tuple[Tensor, Tensor | None]:
    """Gaussians of width 0.35 on a circle of radius 2.8; the label says which."""
    label = torch.randint(8, (n,), generator=stream)
    angle = math.pi * label / 4
    centre = 2.8 * torch.stack([angle.cos(), angle.sin()], 1)
    return centre + noise * torch.randn(n, 2, generator=stream), label


SHAPES: dict[str, tuple[Callable[..., tuple[Tensor, Tensor | None]], int]] = {
    "swiss_roll": (swiss_roll, 0),
    "moons": (moons, 2),
    "pinwheel": (pinwheel, 5),
    "eight_gaussians": (eight_gaussians, 8),
}


class Toy(Source):
    """n points (2,) for training and n // 5 in val and test, a function of (name, seed, split).

    noise: its width, in the units of the shape; None is the shape's own. A pinwheel has none to change.
    """

    def __init__(
        self, name: str, n: int = 10_000, seed: int = 0, noise: float | None = None
    ) -> None:
        check_name("toy set", name, SHAPES)
        if n < 10:
            raise UsageError(f"n={n} points are too few: at least 10, for 2 in val and in test")
        if noise is not None and (noise < 0 or name == "pinwheel"):
            raise UsageError(
                f"data.noise={noise:g}: expected 0 or more, and a shape that has noise (not pinwheel)"
            )
        draw, classes = SHAPES[name]
        self.draw = draw if noise is None else partial(draw, noise=noise)
        version = "" if noise is None else f"noise {noise:g}"
        super().__init__(name, (2,), classes=classes, version=version)
        self.n, self.seed = n, seed

    def read(self, split: str) -> Arrays:
        n = self.n if split == "train" else self.n // 5
        x, label = self.draw(n, generator("toy2d", self.name, self.seed, split))
        return Arrays(x.numpy(), None if label is None else label.numpy())
