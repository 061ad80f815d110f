"""From nothing to bits: samplers walk the states of a kernel and hand out every one on the way.

A step of the chain draws every entry by itself, given the state before. The fewer the steps, the more
entries are drawn without knowing of each other: the bound does not describe samples of few steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Generator, Tensor

from genlab.contracts import DataSpec, UsageError
from genlab.models.diffusion.bit_kernels import Absorbing, BitKernel
from genlab.ranges import at_least

Logits = Callable[
    [Tensor, Tensor], Tensor
]  # s: (n, *shape), t: () to the log-odds of a datum's ones


class BitSampler(ABC):
    """``steps`` steps from s_T to s_0."""

    def __init__(self, steps: int) -> None:
        at_least(1, steps=steps)
        self.steps = steps

    def check(self, kernel: BitKernel, spec: DataSpec) -> None:
        """Raises UsageError where it does not go with this kernel and these data."""
        if self.steps > kernel.steps:
            raise UsageError(
                f"sampler.steps={self.steps}: this model's chain has {kernel.steps} steps"
            )

    @abstractmethod
    def __call__(
        self, kernel: BitKernel, logits: Logits, s: Tensor, p: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        """s: (n, *shape) draws of s_T, and every state after it, s_0 last. p: as ``BitKernel``'s."""


class Strided(BitSampler):
    """The chain itself, of which each step takes several: s_to is drawn from the mean of q(s_to | s_t, x)
    over p̂(x), with ``steps`` + 1 of the times 0, …, T, evenly spaced.
    """

    def __call__(
        self, kernel: BitKernel, logits: Logits, s: Tensor, p: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        yield s
        for t, to in pairwise(self.times(kernel.steps, s.device)):
            s = kernel.back(s, logits(s, t), t, p, generator, to)
            yield s

    def times(self, total: int, device: torch.device) -> Tensor:
        """(steps + 1,) whole numbers, float64, from T to 0."""
        return torch.linspace(total, 0, self.steps + 1, dtype=torch.float64, device=device).round()


class Unmasking(BitSampler):
    """Entries are found in an order drawn for each sample, in ``steps`` groups of equal size (Hoogeboom et
    al. 2022, "Autoregressive Diffusion Models", arXiv 2110.02037, algorithm 1, section 3.3). With as many
    steps as there are entries it is the autoregressive model in all orders, one entry at a time.
    """

    def check(self, kernel: BitKernel, spec: DataSpec) -> None:
        super().check(kernel, spec)
        if not isinstance(kernel, Absorbing):
            raise UsageError(
                f"sampler=unmasking finds what is hidden, and {type(kernel).__name__} hides nothing: use "
                "sampler=strided"
            )
        if self.steps > spec.size:
            raise UsageError(f"sampler.steps={self.steps}: a datum has {spec.size} entries to find")

    def __call__(
        self, kernel: BitKernel, logits: Logits, s: Tensor, p: Tensor, *, generator: Generator
    ) -> Iterator[Tensor]:
        yield s
        size, u = s[0].numel(), torch.rand(s.shape, generator=generator, device=s.device)
        rank = u.flatten(1).argsort(1).view_as(s)  # a permutation, each as probable as any
        found = torch.linspace(0, size, self.steps + 1, dtype=torch.float64).round()
        for first, last in pairwise(found.tolist()):
            t = torch.tensor(
                kernel.steps * (1 - first / size), dtype=torch.float64, device=s.device
            )
            drawn = kernel.back(s, logits(s, t), t, p, generator, torch.zeros_like(t))
            s = torch.where((rank >= first) & (rank < last), drawn, s)
            yield s
