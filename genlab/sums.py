"""Checksums that lie beside files: NAME.sha256 beside a checkpoint, SHA256SUMS in an export."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from genlab.trust import Refused, admit, read_text, require_within

LIST = "SHA256SUMS"  # in the form of sha256sum: ``sha256sum -c SHA256SUMS`` checks it too
LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def file_digest(path: Path) -> str:
    with admit(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def side(path: Path) -> Path:
    """Where the checksum of a file lies."""
    return path.with_name(path.name + ".sha256")


def recorded(path: Path) -> list[str]:
    """The checksums that a file may have, the newest first; none where none is recorded."""
    return read_text(side(path)).split() if side(path).is_file() else []


def is_intact(path: Path) -> bool:
    """Whether a file is there and has the checksum beside it, if there is one."""
    sums = recorded(path)
    return path.is_file() and (not sums or file_digest(path) in sums)


def read_list(folder: Path) -> dict[str, str]:
    """The checksum of each file in SHA256SUMS by its name, relative to the folder and inside of it.

    Raises Refused.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(folder / LIST).splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise Refused(
                f"{folder / LIST}, line {number}: expected a sha256, two spaces, a new name"
            )
        require_within(folder / match[2], folder)
        found[match[2]] = match[1]
    return found


def files_of(folder: Path) -> list[str]:
    """The names of all files in a folder and below, without its list of checksums, sorted."""
    found = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    names = (p.relative_to(folder).as_posix() for p in found)
    return sorted(name for name in names if name != LIST)


def require_listed(folder: Path, name: str) -> None:
    """Raise Refused unless a file has the checksum that the folder's list has of it."""
    expected = read_list(folder).get(name)
    if expected is None:
        raise Refused(f"{folder / name} is not in {LIST}: get the folder anew")
    if file_digest(folder / name) != expected:
        raise Refused(
            f"{folder / name} was altered: its sha256 is not that of {LIST}; get the folder anew"
        )
