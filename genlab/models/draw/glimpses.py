"""What a glimpse reads of a picture and of what is still missing in it, and what it adds to the canvas."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from genlab.models.draw.attention import NUMBERS, Window, wide, window


class Read(nn.Module):
    """size: how many numbers a glimpse gives."""

    size: int

    @abstractmethod
    def forward(self, images: Tensor, h: Tensor) -> tuple[Tensor, Window | None]:
        """(B, size) of images: (B, C, A, W), seen with the decoder's state h: (B, H)."""


class Write(nn.Module):
    @abstractmethod
    def forward(self, h: Tensor) -> tuple[Tensor, Window | None]:
        """(B, C, A, W) what the decoder's state h: (B, H) adds to the canvas."""


class ReadAll(Read):
    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = math.prod(shape)

    def forward(self, images: Tensor, h: Tensor) -> tuple[Tensor, None]:
        return images.flatten(1), None


class WriteAll(Write):
    def __init__(self, shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        self.shape = shape
        self.paint = nn.Linear(hidden, math.prod(shape))

    def forward(self, h: Tensor) -> tuple[Tensor, None]:
        return self.paint(h).view(-1, *self.shape), None


class Aim(nn.Module):
    """h: (B, H) to a window of n × n filters on pictures of this shape; wide and in the middle at first."""

    def __init__(self, n: int, shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        self.n, self.shape = n, shape
        self.numbers = nn.Linear(hidden, NUMBERS)
        with torch.no_grad():
            self.numbers.bias.copy_(wide(n, *shape[1:]))

    def forward(self, h: Tensor) -> Window:
        return window(self.numbers(h), self.n, *self.shape[1:])


class ReadWindow(Read):
    def __init__(self, n: int, shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        self.size = shape[0] * n * n
        self.aim = Aim(n, shape, hidden)

    def forward(self, images: Tensor, h: Tensor) -> tuple[Tensor, Window]:
        where = self.aim(h)
        return where.read(images).flatten(1), where


class WriteWindow(Write):
    def __init__(self, n: int, shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        self.patch = nn.Linear(hidden, shape[0] * n * n)
        self.aim = Aim(n, shape, hidden)

    def forward(self, h: Tensor) -> tuple[Tensor, Window]:
        where = self.aim(h)
        patch = self.patch(h).view(len(h), -1, where.rows.shape[1], where.columns.shape[1])
        return where.write(patch), where
