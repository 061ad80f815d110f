"""CIFAR-10: 32×32 colour photographs of ten classes.

Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009,
cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import numpy as np

from genlab.contracts import DataError
from genlab.data.files import verified
from genlab.data.readers import read_npz
from genlab.data.source import Arrays, Source

BATCH = 10_000  # pictures in a file
HELD_OUT = 5_000  # of the training pictures, the last
SHAPE = (3, 32, 32)


class Cifar10(Source):
    """The official binary version: 45,000 train, 5,000 validation (the last of training), 10,000 test.

    The Python version of the same files holds pickled objects, which may run code, and is not read.
    """

    FOLDER = "cifar-10-batches-bin"

    def __init__(self) -> None:
        super().__init__("cifar10", SHAPE, levels=256, classes=10)

    def files(self) -> tuple[str, ...]:
        names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
        return tuple(f"{self.FOLDER}/{name}" for name in names)

    def read(self, split: str) -> Arrays:
        *training, test = self.files()
        if split == "test":
            return _batch(test)
        if split == "val":
            return Arrays(*(part[-HELD_OUT:] for part in _batch(training[-1])))  # type: ignore[index]
        batches = [_batch(file) for file in training]
        x = np.concatenate([batch.x for batch in batches])
        label = np.concatenate([batch.label for batch in batches])  # type: ignore[arg-type]
        return Arrays(x[:-HELD_OUT], label[:-HELD_OUT])


def _batch(file: str) -> Arrays:
    """Each picture is a byte of label, then 1,024 bytes of red, of green and of blue, row by row."""
    path = verified(file)
    rows = np.fromfile(path, np.uint8)
    width = 1 + 3 * 32 * 32
    if rows.size != BATCH * width:
        raise DataError(
            f"{path} has {rows.size} bytes, a batch of CIFAR-10 (binary version) {BATCH * width}: "
            "fetch it again"
        )
    rows = rows.reshape(BATCH, width)
    return Arrays(rows[:, 1:].reshape(-1, *SHAPE), rows[:, 0].astype(np.int64))


class Cifar10Subset(Source):
    """10,000/1,000/1,000 pictures of CIFAR-10, for development: its numbers compare with no published one.

    Training: the first 1,000 of each class; validation: the next 100; test: the first 1,000 test pictures.
    """

    FILE = "cifar10_subset/cifar10_subset.npz"

    def __init__(self) -> None:
        super().__init__("cifar10", SHAPE, levels=256, classes=10, version="subset")

    def files(self) -> tuple[str, ...]:
        return (self.FILE,)

    def read(self, split: str) -> Arrays:
        arrays, part = read_npz(verified(self.FILE)), "valid" if split == "val" else split
        try:
            x, label = arrays[part], arrays[f"{part}_labels"]
        except KeyError as error:
            raise DataError(
                f"{self.FILE} is not genlab's subset of CIFAR-10: it lacks {error}"
            ) from None
        return Arrays(x.transpose(0, 3, 1, 2), label.astype(np.int64))
