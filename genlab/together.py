"""What processes do together: work that they share out, and what their batches have in common.

Averaging gradients over processes is the gradient of a loss only where that is a mean over data. Statistics
of a batch that enter it in another way, such as the variance that batch normalisation divides by, must be
those of all batches together. Processes have batches of equal size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

T = TypeVar("T")


def processes() -> tuple[int, int]:
    """The number of processes, and which of them this is."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1, 0
    return distributed.get_world_size(), distributed.get_rank()


def shared_out(n: int, work: Callable[[int], T]) -> list[T]:
    """``[work(0), …, work(n - 1)]`` on every process, each of which does its share and must call this.

    What is to be the same however many they are may depend on the piece alone: give each a generator of its
    own (``genlab.randomness.fork``). Results travel between processes: tensors must be on the CPU.
    """
    world, rank = processes()
    if world == 1:
        return one_after_another(n, work)
    own = [work(i) for i in range(rank, n, world)]
    gathered: list[Any] = [None] * world
    distributed.all_gather_object(gathered, own)
    return [gathered[i % world][i // world] for i in range(n)]


def one_after_another(n: int, work: Callable[[int], T]) -> list[T]:
    """The same by this process alone."""
    return [work(i) for i in range(n)]


def mean_of_processes(x: Tensor) -> Tensor:
    """The mean of what each process gives, of one shape, on all of them; with its gradient."""
    return x if processes()[0] == 1 else _Mean.apply(x)


class _Mean(torch.autograd.Function):
    """The gradient of the processes' mean loss with respect to x is the mean of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        return _mean(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:  # type: ignore[override]
        return _mean(upstream)


def _mean(x: Tensor) -> Tensor:
    mean = x.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(mean)
    return mean / processes()[0]
