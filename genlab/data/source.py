"""Where numbers come from: fixed arrays with a name, a shape and three splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from genlab.contracts import UsageError

SPLITS = ("train", "val", "test")


class Arrays(NamedTuple):
    """x: (N, *shape) uint8 or float32; label: (N,) integers in [0, classes), or None."""

    x: np.ndarray
    label: np.ndarray | None = None


class Source(ABC):
    """Arrays that never change. For the built-in sets everything but them is known without any file.

    shape: of one datum, (C, H, W) or (D,). levels: x is one of 0 … levels - 1; None for real numbers.
    classes: how many labels there are; 0 for unlabelled data. version: what else tells these numbers
    from others of the same name ("subset"); part of the variant.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        levels: int | None = None,
        classes: int = 0,
        version: str = "",
    ) -> None:
        self.name = name
        self.shape = shape
        self.levels = levels
        self.classes = classes
        self.version = version
        self._read: dict[str, Arrays] = {}

    def files(self) -> tuple[str, ...]:
        """The relative names of the files that the splits are read from."""
        return ()

    @abstractmethod
    def read(self, split: str) -> Arrays:
        """Read one split. Raises DataError where a file is missing, truncated or altered."""

    def arrays(self, split: str) -> Arrays:
        """The split "train", "val" or "test", read once. Not to be written to."""
        check_split(split)
        if split not in self._read:
            x, label = self.read(split)
            # rows side by side in memory: gathering a batch of other rows is 30 times slower
            self._read[split] = Arrays(np.ascontiguousarray(x), label)
        return self._read[split]


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}: choose train, val or test")
