"""Which files the built-in sets need, and whether they are here: for ``genlab data list`` and ``check``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from genlab.data.checksums import SHA256, origin_of
from genlab.data.cifar import Cifar10, Cifar10Subset
from genlab.data.files import find, is_intact
from genlab.data.images import BinarizedMnist, Digits, IdxImages
from genlab.data.names import check_name
from genlab.data.omniglot import Omniglot
from genlab.data.silhouettes import Silhouettes
from genlab.data.tables import DEBD, NADE_UCI, DebdTable, NadeTable

_SOURCES = {
    "digits": Digits,
    "digits_binary": Digits,
    "mnist": partial(IdxImages, "mnist"),
    "mnist_binary": BinarizedMnist,
    "mnist_dynamic": partial(IdxImages, "mnist"),
    "mnist_threshold": partial(IdxImages, "mnist"),
    "fashion_mnist": partial(IdxImages, "fashion_mnist"),
    "omniglot": Omniglot,
    "omniglot_binary": Omniglot,
    "omniglot_dynamic": Omniglot,
    "caltech_silhouettes": Silhouettes,
    "cifar10": Cifar10,
    "cifar10_subset": Cifar10Subset,
    **{f"debd/{name}": partial(DebdTable, name) for name in DEBD},
    **{f"nade_uci/{name}": partial(NadeTable, name) for name in NADE_UCI},
}


class State(StrEnum):
    """What is known of a data file."""

    MISSING = "missing"
    PRESENT = "present"  # not verified: not asked for, or no checksum is known
    VERIFIED = "verified"
    ALTERED = "altered"


@dataclass(frozen=True)
class FileStatus:
    """One file of a set. name: relative, as it is looked for; origin: its public source."""

    name: str
    origin: str
    state: State
    path: Path | None


@dataclass(frozen=True)
class SetStatus:
    """A built-in set. shape: of one datum; files: empty for a set inside the package."""

    name: str
    shape: tuple[int, ...]
    files: tuple[FileStatus, ...]

    @property
    def ready(self) -> bool:
        """Whether the set can be read."""
        return all(file.state in (State.PRESENT, State.VERIFIED) for file in self.files)


def built_in_sets() -> list[str]:
    """The names of all built-in sets that are made of files, such as "mnist" and "debd/plants"."""
    return list(_SOURCES)


def set_status(name: str, verify: bool = True) -> SetStatus:
    """The state of a set's files. verify: compute their checksums (0.1 s for MNIST)."""
    check_name("data set", name, _SOURCES)
    source = _SOURCES[name]()
    return SetStatus(
        name, source.shape, tuple(_file_status(file, verify) for file in source.files())
    )


def _file_status(name: str, verify: bool) -> FileStatus:
    path = find(name)
    if path is None:
        state = State.MISSING
    elif not verify or name not in SHA256:
        state = State.PRESENT
    else:
        state = State.VERIFIED if is_intact(name, path) else State.ALTERED
    return FileStatus(name, origin_of(name), state, path)
