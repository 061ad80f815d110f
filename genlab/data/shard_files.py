"""The files of a folder of shards: a head that says type and shape, then the rows of one array.

``.npy`` is NumPy's. A ``.safetensors`` file holds one tensor, for those who read them without genlab:
https://huggingface.co/docs/safetensors. The end of a file's name says which it is.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np

from genlab.contracts import DataError
from genlab.trust import admit
from genlab.trust.arrays import npy_header
from genlab.trust.tensors import TYPES, tensor_header

FORMATS = ("npy", "safetensors")


def head(form: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What a file of one of FORMATS begins with. name: of its tensor, where it has names."""
    if form == "safetensors":
        size = math.prod(shape) * dtype.itemsize
        code = {known: code for code, known in TYPES.items()}[dtype.name]
        about = {name: {"dtype": code, "shape": shape, "data_offsets": [0, size]}}
        text = json.dumps(about, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that numbers begin at a multiple of 8
        return len(text).to_bytes(8, "little") + text
    file = io.BytesIO()
    about = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def begin(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Where the numbers of a file begin, which has this shape and type and is whole. Raises DataError."""
    try:
        size = admit(path).stat().st_size
        found, columns, rows, start = _about(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): get the shards anew") from error
    except DataError:
        raise
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path} is no .{_form(path)} file ({error}): get the shards anew"
        ) from error
    if (found, columns, rows) != (dtype, False, shape):
        raise DataError(
            f"{path} holds {found.str!r} {rows}{' by columns' if columns else ''}, and the "
            f"index says {dtype.str!r} {shape}: get the shards anew"
        )
    whole = start + math.prod(shape) * dtype.itemsize
    if size != whole:
        raise DataError(f"{path} has {size} bytes in place of {whole}: get the shards anew")
    return start


def _form(path: Path) -> str:
    return "safetensors" if path.suffix == ".safetensors" else "npy"


def _about(path: Path) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """(type, whether by columns, shape, where the numbers begin). Raises OSError, ValueError, TypeError."""
    if _form(path) == "safetensors":
        code, shape, start = tensor_header(path)
        return np.dtype(code), False, shape, start
    with path.open("rb") as file:
        return *npy_header(file), file.tell()
