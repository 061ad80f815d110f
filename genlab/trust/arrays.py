"""NumPy's files. What a header claims is compared with the file before memory is taken."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from genlab.errors import first_line
from genlab.trust.files import Refused, admit, require_room

VERSIONS = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}  # bytes of the length of a header
LONGEST = 10_000  # characters of the header of one array
HEADER = re.compile(
    r"\{'descr': '([<>|=]?[?a-zA-Z]\d{0,9}(?:\[\w+\])?)', 'fortran_order': (True|False), "
    r"'shape': \(([\d, ]{0,500})\),? ?\}\s*"
)
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    OverflowError,
    RuntimeError,  # a password
    NotImplementedError,  # a packing that zipfile does not know
    MemoryError,
    RecursionError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, all or those of these names. Numbers and text; never Python objects.

    Raises Refused.
    """
    admit(path)
    if not zipfile.is_zipfile(path):
        raise Refused(f"{path} is no complete .npz file")
    try:
        _check_sizes(path, names)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except Refused:
        raise
    except BROKEN as error:
        raise Refused(f"{path} is no complete .npz file ({first_line(error)})") from error


def _check_sizes(path: Path, names: Collection[str] | None) -> None:
    """Raise Refused where an array is not as large as its header says, or there is no room for all."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        wanted = [e for name, e in entries.items() if names is None or name in names]
        require_room(sum(entry.file_size for entry in wanted), path)
        for entry in wanted:
            with archive.open(entry) as file:
                dtype, _, shape = npy_header(file)
                whole = file.tell() + math.prod(shape) * dtype.itemsize
            if dtype.hasobject:
                raise Refused(f"{path} holds Python objects: save its arrays as numbers")
            if whole != entry.file_size:
                raise Refused(
                    f"{path} is no complete .npz file: {entry.filename} says that it has {whole} bytes, "
                    f"and has {entry.file_size}"
                )


def npy_header(file: IO[bytes]) -> tuple[np.dtype, bool, tuple[int, ...]]:
    """(type, whether by columns, shape); the file then stands where the numbers begin.

    Raises ValueError or TypeError. NumPy would read the text as Python, which is more than can be in it.
    """
    magic = file.read(8)
    if magic not in VERSIONS:
        raise ValueError("it does not begin as one")
    length = int.from_bytes(file.read(VERSIONS[magic]), "little")
    found = HEADER.fullmatch(file.read(min(length, LONGEST)).decode("latin-1"))
    if found is None:
        raise ValueError("its header is another")
    shape = tuple(int(n) for n in found[3].split(",") if n.strip())
    return np.dtype(found[1]), found[2] == "True", shape
