"""What the processes of a run have to say: the terminal is rank 0's, and each has a log."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TextIO, cast

from genlab.errors import GenlabError
from genlab.interrupts import Interrupted
from genlab.tee import Tee


def write_into(file: Path) -> None:
    """Let everything that this process prints from now on, to both streams, be added to a file."""
    descriptor = _appending(file)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


@contextmanager
def write_also_into(file: Path) -> Iterator[None]:
    """Meanwhile, let everything that is printed to stderr be added to a file too, but for progress; at the
    end, the error that ends it, if one does.
    """
    with open(_appending(file), "ab", buffering=0) as log:
        tee = Tee(sys.stderr, log)
        try:
            with redirect_stderr(cast(TextIO, tee)):
                yield
        except BaseException as error:
            tee.note(_last_words(error))
            raise


def _last_words(error: BaseException) -> str:
    """One line, as in the terminal; of what nobody foresaw, the traceback."""
    if isinstance(error, GenlabError | Interrupted):
        return f"genlab: {' '.join(str(error).split())}\n"
    return "".join(traceback.format_exception(error))


def _appending(file: Path) -> int:
    """A descriptor. Raises GenlabError where the file cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise GenlabError(
            f"{file} cannot be written ({error.strerror}): make it writable"
        ) from error
