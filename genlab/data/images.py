"""Image sources: the 8×8 digits inside genlab, and MNIST and its relatives from files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from genlab.data.files import find, verified
from genlab.data.readers import read_bits, read_idx, read_npz, read_packed
from genlab.data.source import Arrays, Source

DIGITS_ROWS = {"train": slice(0, 1300), "val": slice(1300, 1500), "test": slice(1500, 1797)}
MNIST_ROWS = {"train": slice(0, 50_000), "val": slice(50_000, 60_000), "test": slice(0, 10_000)}


class Digits(Source):
    """1,797 handwritten digits of 8×8 pixels, 17 levels (0 is background, 16 ink), inside the package.

    1,300 train, 200 validation, 297 test rows of a fixed permutation.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998 (CC BY 4.0), in the order of scikit-learn's ``load_digits``.
    """

    FILE = Path(__file__).with_name("digits.npz")

    def __init__(self) -> None:
        super().__init__("digits", (1, 8, 8), levels=17, classes=10)

    def read(self, split: str) -> Arrays:
        arrays = read_npz(self.FILE)
        # the legacy generator: published numbers are on this permutation, and it is frozen for ever
        order = np.random.RandomState(0).permutation(1797)[DIGITS_ROWS[split]]
        return Arrays(arrays["images"][order][:, None], arrays["labels"][order])


class IdxImages(Source):
    """28×28 grey images in four idx files: 50,000 train, 10,000 validation, 10,000 test rows.

    Train and validation are the first 50,000 and the last 10,000 rows of the training file.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, (1, 28, 28), levels=256, classes=10)
        self._whole: dict[str, np.ndarray] = {}  # train and val share their file

    def files(self) -> tuple[str, ...]:
        return tuple(name for part in ("train", "t10k") for name in self._part(part))

    def read(self, split: str) -> Arrays:
        images, labels = self._part("t10k" if split == "test" else "train")
        rows = MNIST_ROWS[split]
        return Arrays(self._idx(images)[rows][:, None], self._idx(labels)[rows])

    def _idx(self, name: str) -> np.ndarray:
        if name not in self._whole:
            self._whole[name] = read_idx(verified(name))
        return self._whole[name]

    def _part(self, part: str) -> tuple[str, str]:
        folder = f"{self.name}/{part}"
        return f"{folder}-images-idx3-ubyte.gz", f"{folder}-labels-idx1-ubyte.gz"


class BinarizedMnist(Source):
    """MNIST's 28×28 pixels drawn once as Bernoulli with mean intensity / 255: 50,000/10,000/10,000.

    One packed file, or the three text files in circulation. The test rows are in class order: take every
    k-th of them, never the first N.
    Source: R. Salakhutdinov, I. Murray, On the quantitative analysis of deep belief networks, ICML 2008;
    files by H. Larochelle (NADE, AISTATS 2011).
    """

    PACKED = "binarized_mnist/binarized_mnist.npz"
    TEXT: ClassVar = {
        split: f"binarized_mnist/binarized_mnist_{name}.amat"
        for split, name in (("train", "train"), ("val", "valid"), ("test", "test"))
    }

    def __init__(self) -> None:
        super().__init__("mnist", (1, 28, 28), levels=2)

    def files(self) -> tuple[str, ...]:
        text = tuple(self.TEXT.values())
        return text if find(self.PACKED) is None and find(text[0]) else (self.PACKED,)

    def read(self, split: str) -> Arrays:
        if self.PACKED in self.files():
            bits = read_packed(verified(self.PACKED), "valid" if split == "val" else split)
        else:
            bits = read_bits(verified(self.TEXT[split]), 784)
        return Arrays(bits.reshape(-1, 1, 28, 28))
