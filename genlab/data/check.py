"""Whether the files of a set are here, and whole: for ``genlab data list`` and ``check``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from genlab.contracts import DataError
from genlab.data.checksums import SHA256, origin_of
from genlab.data.cifar import Cifar10, Cifar10Subset
from genlab.data.files import find, is_intact, sha256
from genlab.data.images import BinarizedMnist, Digits, IdxImages
from genlab.data.names import check_name
from genlab.data.omniglot import Omniglot
from genlab.data.shard_index import Shard, inside, read_index
from genlab.data.silhouettes import Silhouettes
from genlab.data.tables import DEBD, NADE_UCI, DebdTable, NadeTable
from genlab.progress import progress

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
    """A built-in set or folder of shards. shape: of one datum; files: none for a set inside the package."""

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


def shards_status(folder: Path) -> SetStatus:
    """The state of every file of a folder of shards, by its checksum: each is read from end to end.

    Raises DataError where the folder has no index of shards.
    """
    index = read_index(folder)
    columns = [c for split in index.splits.values() for c in (split.x, split.label) if c]
    shards = [shard for column in columns for shard in column.shards]
    found = []
    with progress(f"check {folder}", len(shards)) as advance:
        for shard in shards:
            found.append(_shard_status(folder, shard))
            advance(len(found), "files")
    return SetStatus(str(folder), index.spec.shape, tuple(found))


def _shard_status(folder: Path, shard: Shard) -> FileStatus:
    path = inside(folder, shard.file)
    if not path.is_file():
        return FileStatus(shard.file, "genlab data shard", State.MISSING, None)
    try:
        state = State.VERIFIED if sha256(path) == shard.sha256 else State.ALTERED
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    return FileStatus(shard.file, "genlab data shard", state, path)


def _file_status(name: str, verify: bool) -> FileStatus:
    path = find(name)
    if path is None:
        state = State.MISSING
    elif not verify or name not in SHA256:
        state = State.PRESENT
    else:
        state = State.VERIFIED if is_intact(name, path) else State.ALTERED
    return FileStatus(name, origin_of(name), state, path)
