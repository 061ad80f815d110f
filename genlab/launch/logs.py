"""What processes above rank 0 have to say: the terminal is rank 0's."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def write_into(file: Path) -> None:
    """Let everything that this process prints from now on, to both streams, be added to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
