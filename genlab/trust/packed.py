"""Packed files, of which no more is unpacked than there is room for."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from genlab.trust.files import Refused, admit, require_room

CHUNK = 2**20


@contextmanager
def unpacking(path: Path, what: str) -> Iterator[IO[bytes]]:
    """A gzipped file, to be read as far as it is wanted. what: it is, for the error.

    Raises Refused where it is none, or not whole.
    """
    admit(path)
    try:
        with gzip.open(path, "rb") as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(f"{path} is no complete {what} ({error})") from error


def inflated(content: bytes, path: Path) -> bytes:
    """What zlib has packed. Raises Refused where it outgrows the room there is, zlib.error where broken.

    path: of the file that it is from.
    """
    unpacker, parts, size = zlib.decompressobj(), [], 0
    while not unpacker.eof:
        parts.append(unpacker.decompress(content, CHUNK))
        content, size = unpacker.unconsumed_tail, size + len(parts[-1])
        if not parts[-1] and not content:
            raise zlib.error("it ends too early")
        require_room(size, path)
    return b"".join(parts)


def members(archive: IO[bytes], names: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The content of those members of a tar archive, which are asked for by name: nothing else of it is
    unpacked, and nowhere but where the caller puts it. Raises Refused where one is missing or no file.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:*") as tar:
            for name in names:
                member = tar.getmember(name)
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise Refused(f"{name} is no file of the archive")
                yield name, content
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise Refused(f"no archive with {names[0]} in it ({error})") from error
