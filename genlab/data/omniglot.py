"""OMNIGLOT: 1,623 characters of 50 alphabets, each drawn once by twenty people.

Source: B. Lake, R. Salakhutdinov, J. Tenenbaum, Human-level concept learning through probabilistic program
induction, Science 2015; github.com/brendenlake/omniglot.
"""

from __future__ import annotations

import numpy as np

from genlab.contracts import DataError
from genlab.data.files import verified
from genlab.data.readers import read_npz
from genlab.data.source import Arrays, Source

FIRST_VALIDATION_DRAWER = 13  # of the fifteen, 0 … 14, whose drawings the training file holds


class Omniglot(Source):
    """28×28 grey drawings, ink 255, the area average of the 105×105 originals; labels are alphabets.

    By drawer: 0 … 12 of each character for training (21,099), 13 and 14 for validation (3,246) and 15 … 19
    for test (8,115). Not the file of the IWAE paper, whose pixels and test rows are others.
    """

    FILE = "omniglot/omniglot_28.npz"

    def __init__(self) -> None:
        super().__init__("omniglot", (1, 28, 28), levels=256, classes=50, version="area average")

    def files(self) -> tuple[str, ...]:
        return (self.FILE,)

    def read(self, split: str) -> Arrays:
        arrays, part = read_npz(verified(self.FILE)), "test" if split == "test" else "train"
        try:
            x, drawer = arrays[part], arrays[f"{part}_drawer"]
            label = arrays["alphabet_of_character"][arrays[f"{part}_character"]]
        except (KeyError, IndexError) as error:
            raise DataError(
                f"{self.FILE} is not genlab's form of OMNIGLOT: it lacks {error}"
            ) from None
        rows = np.full(len(x), True)
        if part == "train":
            rows = (drawer >= FIRST_VALIDATION_DRAWER) == (split == "val")
        return Arrays(x[rows][:, None], label[rows])
