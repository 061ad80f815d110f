"""Caltech 101 Silhouettes: the outlines of objects, filled.

Source: B. Marlin, K. Swersky, B. Chen, N. de Freitas, Inductive principles for restricted Boltzmann machine
learning, AISTATS 2010, people.cs.umass.edu/~marlin/data.shtml.
"""

from __future__ import annotations

import numpy as np

from genlab.contracts import DataError
from genlab.data.files import find, verified
from genlab.data.matlab import read_mat
from genlab.data.readers import read_npz, unpack
from genlab.data.source import Arrays, Source

SIZES = {"train": 4100, "val": 2264, "test": 2307}


class Silhouettes(Source):
    """28×28 binary pictures of objects in 101 classes, upright, the object 1: 4,100/2,264/2,307 rows.

    The files hold columns of pixels and an object of 0: they are transposed and inverted here, so that a
    picture looks as others do. Neither changes the likelihood of a model that favours no order or value.
    """

    PACKED = "caltech101_silhouettes/caltech101_silhouettes_28.npz"
    ORIGINAL = "caltech101_silhouettes/caltech101_silhouettes_28_split1.mat"

    def __init__(self) -> None:
        version = "object 1"
        super().__init__("caltech_silhouettes", (1, 28, 28), levels=2, classes=101, version=version)

    def files(self) -> tuple[str, ...]:
        packed = find(self.PACKED) is not None or find(self.ORIGINAL) is None
        return (self.PACKED if packed else self.ORIGINAL,)

    def read(self, split: str) -> Arrays:
        (file,) = self.files()
        path = verified(file)
        try:
            if file == self.PACKED:
                arrays, part = read_npz(path), "valid" if split == "val" else split
                x, label = unpack(arrays, part, path), arrays[f"{part}_labels"]
            else:
                arrays = read_mat(path)
                x, label = arrays[f"{split}_data"], arrays[f"{split}_labels"].ravel()
        except KeyError as error:
            raise DataError(
                f"{path} is not the silhouettes of 28×28 pixels: it lacks {error}"
            ) from None
        if x.shape != (SIZES[split], 784):
            raise DataError(f"{path} has {x.shape} {split} rows and pixels: fetch it again")
        upright = x.reshape(-1, 1, 28, 28).swapaxes(2, 3)
        return Arrays((1 - upright).astype(np.uint8), label.astype(np.int64) - 1)
