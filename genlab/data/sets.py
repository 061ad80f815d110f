"""One function per data set: what ``_target_`` names in configs/data.

``preprocess`` replaces the default way of seeing the source, for instance
``data.preprocess._target_=genlab.data.Threshold data.preprocess.at=100``.
"""

from __future__ import annotations

from typing import Literal

from genlab.data.arrays import ArrayData
from genlab.data.cifar import Cifar10, Cifar10Subset
from genlab.data.folder import ImageFolder
from genlab.data.heartbeat import Heartbeat
from genlab.data.images import BinarizedMnist, Digits, IdxImages
from genlab.data.omniglot import Omniglot
from genlab.data.own import OwnArrays
from genlab.data.preprocess import AsIs, Bernoulli, Levels, Preprocess, Standardise
from genlab.data.silhouettes import Silhouettes
from genlab.data.source import Source
from genlab.data.tables import DebdTable, NadeTable
from genlab.data.toys import Toy


def digits(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """The 1,797 8×8 digits inside the package, by default with all their 17 levels."""
    return _data(Digits(), preprocess, batch_size)


def mnist(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """MNIST, by default with all its 256 levels."""
    return _data(IdxImages("mnist"), preprocess, batch_size)


def fashion_mnist(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """Fashion-MNIST, by default with all its 256 levels."""
    return _data(IdxImages("fashion_mnist"), preprocess, batch_size)


def binarized_mnist(batch_size: int = 100) -> ArrayData:
    """The fixed binarisation of MNIST that papers report on; without labels."""
    relative = mnist(preprocess=Bernoulli())
    return ArrayData(BinarizedMnist(), AsIs(), batch_size, relative)


def omniglot(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """OMNIGLOT's characters at 28×28, by default with all their 256 levels."""
    return _data(Omniglot(), preprocess, batch_size)


def caltech_silhouettes(batch_size: int = 100) -> ArrayData:
    """Caltech 101 Silhouettes at 28×28, upright, the object 1."""
    return _data(Silhouettes(), None, batch_size)


def cifar10(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """CIFAR-10 from the official binary files."""
    return _data(Cifar10(), preprocess, batch_size)


def cifar10_subset(batch_size: int = 100, preprocess: Preprocess | None = None) -> ArrayData:
    """10,000/1,000/1,000 pictures of CIFAR-10, for development."""
    return _data(Cifar10Subset(), preprocess, batch_size)


def debd(name: str = "nltcs", batch_size: int = 100) -> ArrayData:
    """One of the 20 binary DEBD tables: nltcs, plants, dna, …"""
    return _data(DebdTable(name), None, batch_size)


def nade_uci(name: str = "adult", batch_size: int = 100) -> ArrayData:
    """One of the binary tables of the NADE and MADE papers: adult, mushrooms, nips-0-12, …"""
    return _data(NadeTable(name), None, batch_size)


def toy2d(
    name: str = "swiss_roll",
    n: int = 10_000,
    seed: int = 0,
    batch_size: int = 100,
    noise: float | None = None,
) -> ArrayData:
    """n points in the plane, n // 5 in val and test: swiss_roll, moons, pinwheel or eight_gaussians.

    noise: its width, in the units of the shape; None is the shape's own.
    """
    return _data(Toy(name, n, seed, noise), None, batch_size)


def heartbeat(n: int = 10_000, seed: int = 0, batch_size: int = 100) -> ArrayData:
    """n sequences of 20 bits, n // 5 in val and test: a beat every five steps, in five phases."""
    return _data(Heartbeat(n, seed), None, batch_size)


def image_folder(
    path: str,
    size: int,
    mode: Literal["grey", "rgb"] = "rgb",
    recursive: bool = True,
    seed: int = 0,
    batch_size: int = 100,
    preprocess: Preprocess | None = None,
) -> ArrayData:
    """Your own pictures in a folder; see ``genlab.data.folder`` for splits and labels."""
    return _data(ImageFolder(path, size, mode, recursive, seed), preprocess, batch_size)


def npz(
    path: str,
    levels: int | None = None,
    seed: int = 0,
    batch_size: int = 100,
    preprocess: Preprocess | None = None,
) -> ArrayData:
    """Your own arrays in an .npz file; see ``genlab.data.own`` for what it may hold."""
    return _data(OwnArrays(path, levels, seed), preprocess, batch_size)


def _data(source: Source, preprocess: Preprocess | None, batch_size: int) -> ArrayData:
    return ArrayData(source, preprocess or _natural(source), batch_size)


def _natural(source: Source) -> Preprocess:
    """What loses nothing: 0/1 data as they are, all levels, or real numbers standardised."""
    if source.levels is None:
        return Standardise()
    return AsIs() if source.levels == 2 else Levels()
