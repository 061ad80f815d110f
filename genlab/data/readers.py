"""Three file forms as arrays: gzipped idx, .npz (plain or packed) and rows of 0/1 text.

Each reader raises DataError, in one line, for a file that is truncated or is something else.
"""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from genlab.contracts import DataError

_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def read_idx(path: Path) -> np.ndarray:
    """uint8 array of a gzipped idx file: bytes 0, 0, 8, ndim, then ndim big-endian sizes, then data.

    Source: yann.lecun.com/exdb/mnist, "the IDX file format".
    """
    try:
        content = bytearray(gzip.decompress(path.read_bytes()))
        ndim = content[3] if content[:3] == b"\0\0\x08" else 0
        sizes = np.frombuffer(content, ">u4", count=ndim, offset=4).tolist()
    except (*_BROKEN, IndexError) as error:
        raise DataError(
            f"{path} is no complete gzipped idx file ({error}): fetch it again"
        ) from error
    if ndim == 0 or len(content) != 4 + 4 * ndim + math.prod(sizes):
        raise DataError(
            f"{path} is no complete idx file of bytes: its {len(content)} bytes do not match its "
            "header; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(sizes)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Python objects in it are refused, never unpickled."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is no complete .npz file: write it with np.savez(path, x=…)")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _BROKEN as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{path} holds Python objects: save its arrays as numbers") from error
        raise DataError(f"{path} is no complete .npz file: write or fetch it again") from error


def unpack(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """(N, n_vars) uint8 of an array packed by np.packbits(x, axis=1) beside the scalar n_vars."""
    return np.unpackbits(arrays[name], axis=1, count=int(arrays["n_vars"]))


def read_packed(path: Path, name: str) -> np.ndarray:
    """(N, n_vars) uint8 of 0 and 1: the array ``name`` of a packed .npz file."""
    arrays = read_npz(path)
    try:
        return unpack(arrays, name)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is no packed .npz file: it needs train, valid and test made by "
            "np.packbits(x, axis=1), and the scalar n_vars"
        ) from error


def read_bits(path: Path, width: int) -> np.ndarray:
    """(N, width) uint8 of 0 and 1 from text, one row a line, separated by commas or spaces."""
    try:
        text = path.read_bytes().translate(None, b", \t\r\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    bits = np.frombuffer(bytearray(text), np.uint8) - ord("0")
    if not len(bits) or len(bits) % width or bits.max() > 1:
        raise DataError(f"{path} does not hold rows of {width} zeros and ones: fetch it again")
    return bits.reshape(-1, width)
