"""What is for float32 alone, and matrix products and convolutions in it whatever the trainer's precision.

TF32 and bfloat16 err by 0.05 and 0.2 on squared distances around 100, which a narrow kernel multiplies
by twenty: they are off here. On a GPU convolutions use TF32 unless they are told not to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class NeedsFloat32(ABC):
    """A part of a model that, as it was built, may not be for half precision."""

    @abstractmethod
    def refuse_half(self, device: str) -> None:
        """Raise UsageError, beginning with the name of its option, where it is not on such a device
        ("cpu", "cuda").
        """


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Without TF32 and autocast."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def products(x: Tensor, y: Tensor) -> Tensor:
    """x: (B, D), y: (N, D) to x·y: (B, N), in the precision of x and y."""
    with full_precision(x.device):
        return x @ y.T
