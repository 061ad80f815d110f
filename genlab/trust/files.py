"""Whether a path may be read at all, and whether there is room for what it holds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil

from genlab.errors import DataError

SHARE = 0.8  # of the free memory that the content of one file may take


class Refused(DataError):
    """A file that is missing, no plain file, outside of its folder, too large, or of another kind."""


def admit(path: Path, within: Path | None = None) -> Path:
    """The path, if it is a plain file; links are followed. within: the folder that it must lie inside of.

    A device or a pipe has no end, or waits for ever; a link out of a folder from elsewhere would show files
    that are not part of it. Raises Refused.
    """
    try:
        about = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        reason = getattr(error, "strerror", None) or error
        raise Refused(f"{path} cannot be read ({reason})") from None
    if not stat.S_ISREG(about.st_mode):
        raise Refused(f"{path} is no plain file")
    if within is not None:
        require_within(path, within)
    return path


def require_within(path: Path, folder: Path) -> None:
    """Raise Refused where a path, which need not be there, leads out of a folder, be it by a link."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # links in a circle, a NUL
        inside = False
    if not inside:
        raise Refused(f"{path} leads out of {folder}: refused")


def require_plain(folder: Path) -> None:
    """Raise Refused for a link anywhere in a folder that leads out of it, as what is written into it would
    be written elsewhere, and for a pipe or a device, whoever waits for which waits for ever.
    """
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_symlink():
                require_within(Path(entry.path), folder)
            elif entry.is_dir():
                waiting.append(Path(entry.path))
            elif not entry.is_file() and Path(entry.path).exists():
                raise Refused(f"{entry.path} is no plain file")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; nothing where it is gone meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refused(f"{folder} cannot be read ({error.strerror})") from None


def read_bytes(path: Path, within: Path | None = None, most: int | None = None) -> bytes:
    """The content of a file of at most so many bytes. Raises Refused."""
    size = admit(path, within).stat().st_size
    if most is not None and size > most:
        raise Refused(f"{path} has {size:,} bytes; a file of its kind has at most {most:,}")
    require_room(size, path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror})") from None


def require_room(needed: int, path: Path) -> None:
    """Raise Refused where a file says that it holds more bytes than there is memory for."""
    room = int(SHARE * psutil.virtual_memory().available)
    if needed > room:
        raise Refused(
            f"{path} says that it holds {needed / 2**30:,.1f} GiB, and there is memory for "
            f"{room / 2**30:,.1f} GiB"
        )
