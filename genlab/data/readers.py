"""Three file forms as arrays: gzipped idx, .npz (plain or packed) and rows of 0/1 text.

Each reader raises DataError, in one line, for a file that is truncated or is something else.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO

import numpy as np

from genlab.contracts import DataError
from genlab.trust import arrays
from genlab.trust.files import Refused, read_bytes, require_room
from genlab.trust.packed import unpacking


def read_idx(path: Path) -> np.ndarray:
    """uint8 array of a gzipped idx file: bytes 0, 0, 8, ndim, then ndim big-endian sizes, then data.

    Source: yann.lecun.com/exdb/mnist, "the IDX file format".
    """
    try:
        with unpacking(path, "gzipped idx file") as file:
            sizes = _sizes(file.read(4), file)
            require_room(math.prod(sizes), path)
            content = bytearray(file.read(math.prod(sizes)))
            rest = file.read(1)
    except Refused as error:
        raise DataError(f"{error}: fetch it again") from error
    if not sizes or rest or len(content) != math.prod(sizes):
        raise DataError(
            f"{path} is no complete idx file of bytes: its content does not match its header; "
            "fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(sizes)


def _sizes(magic: bytes, file: IO[bytes]) -> list[int]:
    """Those of each dimension; none where the file is another."""
    ndim = magic[3] if len(magic) == 4 and magic[:3] == b"\0\0\x08" else 0
    sizes = np.frombuffer(file.read(4 * ndim), np.uint8)
    return sizes.view(">u4").tolist() if sizes.size == 4 * ndim else []


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Python objects in it are refused, never unpickled."""
    try:
        return arrays.read_npz(path)
    except Refused as error:
        raise DataError(f"{error}; write it with np.savez(path, x=…), or fetch it again") from error


def unpack(found: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    """(N, n_vars) uint8 of an array packed by np.packbits(x, axis=1) beside the scalar n_vars.

    Raises DataError where they are something else.
    """
    try:
        rows, width = found[name], int(found["n_vars"])
        if not 0 < width <= 8 * rows.shape[1]:
            raise ValueError
        require_room(len(rows) * width, path)
        return np.unpackbits(rows, axis=1, count=width)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{path} is no packed .npz file: it needs train, valid and test made by "
            "np.packbits(x, axis=1), and the scalar n_vars"
        ) from error


def read_packed(path: Path, name: str) -> np.ndarray:
    """(N, n_vars) uint8 of 0 and 1: the array ``name`` of a packed .npz file."""
    return unpack(read_npz(path), name, path)


def read_bits(path: Path, width: int) -> np.ndarray:
    """(N, width) uint8 of 0 and 1 from text, one row a line, separated by commas or spaces."""
    text = read_bytes(path).translate(None, b", \t\r\n")
    bits = np.frombuffer(bytearray(text), np.uint8) - ord("0")
    if not len(bits) or len(bits) % width or bits.max() > 1:
        raise DataError(f"{path} does not hold rows of {width} zeros and ones: fetch it again")
    return bits.reshape(-1, width)
