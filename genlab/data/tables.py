"""Binary tables with published splits: the 20 DEBD sets, and the sets of the NADE and MADE papers.

Sources: J. Van Haaren, J. Davis, Markov network structure learning, AAAI 2012 (DEBD, collected at
github.com/arranger1044/DEBD); H. Larochelle, Y. Bengio, J. Turian, Tractable multivariate binary density
estimation and the restricted Boltzmann forest, Neural Computation 2010 (NADE).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from genlab.contracts import DataError
from genlab.data.files import find, verified
from genlab.data.names import check_name
from genlab.data.readers import read_bits, read_packed
from genlab.data.source import SPLITS, Arrays, Source


class Size(NamedTuple):
    """How many variables a table has, and how many rows each of its splits."""

    variables: int
    train: int
    val: int
    test: int


DEBD = {
    "nltcs": Size(16, 16181, 2157, 3236),
    "msnbc": Size(17, 291326, 38843, 58265),
    "kdd": Size(64, 180092, 19907, 34955),
    "plants": Size(69, 17412, 2321, 3482),
    "baudio": Size(100, 15000, 2000, 3000),
    "jester": Size(100, 9000, 1000, 4116),
    "bnetflix": Size(100, 15000, 2000, 3000),
    "accidents": Size(111, 12758, 1700, 2551),
    "tretail": Size(135, 22041, 2938, 4408),
    "pumsb_star": Size(163, 12262, 1635, 2452),
    "dna": Size(180, 1600, 400, 1186),
    "kosarek": Size(190, 33375, 4450, 6675),
    "msweb": Size(294, 29441, 3270, 5000),
    "book": Size(500, 8700, 1159, 1739),
    "tmovie": Size(500, 4524, 1002, 591),
    "cwebkb": Size(839, 2803, 558, 838),
    "cr52": Size(889, 6532, 1028, 1540),
    "c20ng": Size(910, 11293, 3764, 3764),
    "bbc": Size(1058, 1670, 225, 330),
    "ad": Size(1556, 2461, 327, 491),
}

NADE_UCI = {
    "adult": Size(123, 5000, 1414, 26147),
    "connect4": Size(126, 16000, 4000, 47557),
    "mushrooms": Size(112, 2000, 500, 5624),
    "nips-0-12": Size(500, 400, 100, 1240),
    "ocr-letters": Size(128, 32152, 10000, 10000),
    "rcv1": Size(150, 40000, 10000, 150000),
    "web_resplit": Size(300, 14000, 3188, 32561),
}


class Table(Source):
    """A binary table in one packed .npz file: (D,) of 0 and 1."""

    def __init__(self, folder: str, name: str, size: Size) -> None:
        super().__init__(name, (size.variables,), levels=2)
        self.packed = f"{folder}/{name}.npz"
        self.size = size

    def files(self) -> tuple[str, ...]:
        return (self.packed,)

    def read(self, split: str) -> Arrays:
        bits = read_packed(verified(self.packed), "valid" if split == "val" else split)
        return self.checked(bits, split, self.packed)

    def checked(self, bits: np.ndarray, split: str, file: str) -> Arrays:
        """The rows of a split. Raises DataError where they are not as many or as wide as published."""
        expected = (getattr(self.size, split), self.size.variables)
        if bits.shape != expected:
            raise DataError(
                f"{file} has {bits.shape} {split} rows and variables, the published {self.name} "
                f"{expected}: fetch it again"
            )
        return Arrays(bits)


class DebdTable(Table):
    """A DEBD set: one packed .npz file, or the three text files of the public collection."""

    def __init__(self, name: str) -> None:
        check_name("DEBD set", name, DEBD)
        super().__init__("debd", name, DEBD[name])

    @property
    def text(self) -> tuple[str, ...]:
        """The names of the text files, in the order of the splits."""
        return tuple(self.text_of(split) for split in SPLITS)

    def text_of(self, split: str) -> str:
        return f"debd/{self.name}/{self.name}.{'valid' if split == 'val' else split}.data"

    def files(self) -> tuple[str, ...]:
        text = self.text
        return text if find(self.packed) is None and find(text[0]) else (self.packed,)

    def read(self, split: str) -> Arrays:
        if self.packed in self.files():
            return super().read(split)
        return self.read_text(split, verified(self.text_of(split)))

    def read_text(self, split: str, path: Path) -> Arrays:
        """A split from a text file. Raises DataError where it is not as published."""
        return self.checked(read_bits(path, self.size.variables), split, self.text_of(split))


class NadeTable(Table):
    """A set of the NADE and MADE papers. web_resplit is genlab's own split of their web set.

    "dna" is DEBD's, whose 2,000 training and validation rows those papers split 1,400 / 600 instead.
    """

    def __init__(self, name: str) -> None:
        check_name("NADE set", name, [*NADE_UCI, "dna"])
        if name == "dna":
            super().__init__("debd", name, DEBD[name])
        else:
            super().__init__("nade_uci", name, NADE_UCI[name])
