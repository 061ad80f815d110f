"""What can go wrong, by whose hand: each error is one line for the person at the terminal.

The line says what was given, what was expected and what to type instead.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class GenlabError(Exception):
    """Anything genlab reports without a traceback. code: the exit code of the command line."""

    code = 1


class UsageError(GenlabError, ValueError):
    """The command, the configuration or a file that it names is wrong."""

    code = 2


class DataError(UsageError):
    """A data file is missing, truncated or altered."""


class UnsupportedData(UsageError):
    """A model or a part of it cannot take data of this support or shape."""


class PluginError(GenlabError):
    """An installed package that offers components to genlab is broken."""

    code = 3


def first_line(error: BaseException) -> str:
    """Of its text, the beginning; its type where it has none."""
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def in_words(error: BaseException) -> str:
    """Its type and text, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def place(error: BaseException, folder: str = "") -> str:
    """``file:line`` that raised it, in the last frame of the traceback inside this folder; without one, in
    the last that is neither genlab's nor of what genlab stands on. Where syntax is wrong, it is that place.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if _is_somebodys(f.filename, folder)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _is_somebodys(file: str, folder: str) -> bool:
    if folder:
        return file.startswith(folder)
    below = (
        "/torch/",
        "/pytorch_lightning/",
        "/torchmetrics/",
        "<frozen",
        str(Path(__file__).parent),
    )
    return not any(part in Path(file).as_posix() for part in below)
