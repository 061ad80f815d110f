"""Weights: checkpoints of torch, of which nothing but tensors and plain values is read, and safetensors."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from genlab.errors import first_line
from genlab.trust.arrays import LONGEST
from genlab.trust.files import Refused, admit, require_room

# What a checkpoint may name. torch's own list is longer (bytearray(10**12) is on it), and grows.
NAMES = frozenset(
    {"collections OrderedDict", "torch Size", "torch device"}
    | {f"torch._utils {name}" for name in ("_rebuild_tensor_v2", "_rebuild_parameter")}
    | {f"torch {name}" for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    | {
        f"torch {name}Storage"
        for name in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()  # noqa: SIM905
    }
)
TYPES = {  # of numbers in safetensors, and NumPy's names
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F32": "float32",
    "F64": "float64",
}
STRUCTURE = 2**26  # bytes of what says how tensors lie in a checkpoint
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    AssertionError,
    RecursionError,
    MemoryError,
    UnpicklingError,
    zipfile.BadZipFile,
    NotImplementedError,
)


class Pickled(Refused):
    """A checkpoint that names something else than tensors, to be called when it is loaded."""


def read_checkpoint(path: Path, within: Path | None = None) -> Any:
    """What ``torch.save`` wrote: tensors, on the CPU, and plain values.

    Raises Pickled before anything is loaded where the file names anything that is not on the list, Refused
    where it is no checkpoint in torch's zip form, packed, or not whole.
    """
    admit(path, within)
    try:
        for name in _named(path):
            if name not in NAMES:
                raise Pickled(
                    f"{path} holds pickled objects ({name.replace(' ', '.')}), which may run code: refused"
                )
        return torch.load(path, map_location="cpu", weights_only=True)
    except Refused:
        raise
    except BROKEN as error:
        raise Refused(f"{path} is not a readable checkpoint: {first_line(error)}") from None


def _named(path: Path) -> Iterator[str]:
    """Everything that a checkpoint names, as "module name". Raises Refused and what is in BROKEN."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Refused(f"{path} is packed, as torch packs no checkpoint")
        require_room(sum(entry.file_size for entry in entries), path)
        content = [entry for entry in entries if entry.filename.split("/")[1:] == ["data.pkl"]]
        if len(content) != 1 or content[0].file_size > STRUCTURE:
            raise ValueError("it has no data.pkl of its own")
        for opcode, argument, _ in pickletools.genops(archive.read(content[0])):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument)
            elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                yield opcode.name


def read_tensors(path: Path, within: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises Refused."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    require_room(admit(path, within).stat().st_size, path)
    try:
        return load_file(path)
    except (SafetensorError, *BROKEN) as error:
        raise Refused(f"{path} is not a readable safetensors file: {first_line(error)}") from None


def tensor_header(path: Path) -> tuple[str, tuple[int, ...], int]:
    """(NumPy's name of its type, shape, where its numbers begin) of a safetensors file of one tensor.

    Raises OSError, and ValueError where it is none, or is not whole.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST:
        raise ValueError(f"its header has {length:,} bytes, expected at most {LONGEST:,}")
    try:
        with safe_open(path, "numpy") as file:
            names = list(file.keys())
            if len(names) != 1:
                raise ValueError(f"it holds {len(names)} tensors, expected 1")
            about = file.get_slice(names[0])
            code, shape = about.get_dtype(), tuple(about.get_shape())
    except SafetensorError as error:
        raise ValueError(first_line(error)) from None
    if code not in TYPES:
        raise ValueError(f"its numbers are {code}, expected {', '.join(TYPES)}")
    return TYPES[code], shape, 8 + length
