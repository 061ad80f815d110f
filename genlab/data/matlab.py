"""Numeric arrays of a MATLAB 5 file. Nothing else in it is read, and nothing can run.

Source: MATLAB Level 5 MAT-File Format, The MathWorks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genlab.contracts import DataError
from genlab.trust.files import read_bytes
from genlab.trust.packed import inflated

HEADER = 128  # bytes before the first element
COMPRESSED, MATRIX = 15, 14
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC = range(6, 16)  # classes of arrays: double, single and whole numbers


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The real numeric arrays of a little-endian MATLAB 5 file by name; cells and text are left out.

    Raises DataError where it is no such file, or not a complete one.
    """
    try:
        content = read_bytes(path)
        if content[:6] != b"MATLAB" or content[126:128] != b"IM":
            raise ValueError("no header")
        return dict(_arrays(content[HEADER:], path))
    except (ValueError, KeyError, IndexError, RecursionError, struct.error, zlib.error) as error:
        reason = str(error) or "it ends too early"
        raise DataError(
            f"{path} is no complete MATLAB 5 file ({reason}): fetch it again"
        ) from error


def _arrays(content: bytes, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    for kind, data in _elements(content):
        if kind == COMPRESSED:
            yield from _arrays(inflated(data, path), path)
        elif kind == MATRIX and data:
            parts = list(_elements(data))
            if parts[0][1][0] in NUMERIC:
                yield _array(parts)


def _array(parts: list[tuple[int, bytes]]) -> tuple[str, np.ndarray]:
    """Flags, dimensions, name and numbers; stored by columns."""
    _, (_, sizes), (_, name), (kind, numbers) = parts[:4]
    shape = np.frombuffer(sizes, "<i4").tolist()
    return name.decode(), np.frombuffer(numbers, f"<{TYPES[kind]}").reshape(shape, order="F")


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, data) of each element; one of at most four bytes has a short tag."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        start = at + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if start + size > len(content):
            raise ValueError("it ends too early")
        yield kind, content[start : start + size]
        short = start == at + 4
        padded = size if kind == COMPRESSED else 4 if short else -(-size // 8) * 8
        at = start + padded
