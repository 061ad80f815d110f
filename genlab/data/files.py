"""Finding a data file, and making sure that it is the published one. Nothing is downloaded here.

A file is looked for in $GENLAB_DATA, in ``data/`` of the current directory and of the checkout, and in
the user's cache folder, in that order.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from genlab.contracts import DataError
from genlab.data.checksums import SHA256, origin_of


def folders() -> list[Path]:
    """Where data files are looked for, in order."""
    given = os.environ.get("GENLAB_DATA")
    checkout = Path(__file__).parents[2]
    return [
        *([Path(given).expanduser()] if given else []),
        Path("data"),
        *([checkout / "data"] if (checkout / "pyproject.toml").exists() else []),
        cache() / "data",
    ]


def cache() -> Path:
    """The folder for what genlab can make anew: genlab below $XDG_CACHE_HOME, or below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genlab"


def destination() -> Path:
    """Where files are put that are fetched: $GENLAB_DATA, else the user's cache folder."""
    return folders()[0 if os.environ.get("GENLAB_DATA") else -1]


def find(name: str) -> Path | None:
    """The first file of this relative name, such as "debd/nltcs.npz"; None where there is none."""
    return next((folder / name for folder in folders() if (folder / name).is_file()), None)


def verified(name: str) -> Path:
    """The path of a file whose sha256 is the known one, or of which none is known.

    Raises DataError where the file is missing or altered. A file is read once per process for this.
    """
    path = find(name)
    if path is None:
        raise DataError(
            f"{name} is missing (source: {origin_of(name)}): put it under $GENLAB_DATA or ./data"
        )
    if not is_intact(name, path):
        raise DataError(
            f"{path} is not the published file: its sha256 is {sha256(path)[:12]}…, expected "
            f"{SHA256[name][:12]}…; fetch it again (source: {origin_of(name)})"
        )
    return path


def is_intact(name: str, path: Path) -> bool:
    """Whether the file has the sha256 known for this name; True where none is known."""
    return name not in SHA256 or sha256(path) == SHA256[name]


def sha256(path: Path) -> str:
    """Hex digest of a file, computed anew only when its time or size has changed."""
    stat = path.stat()
    return _sha256(str(path.resolve()), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _sha256(path: str, _mtime_ns: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
