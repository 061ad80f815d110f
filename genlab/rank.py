"""Which process of a run this is."""

from __future__ import annotations

import os

VARIABLE = "GENLAB_RANK"


def rank() -> int:
    """This process's number among those of a run: 0 leads."""
    return int(os.environ.get(VARIABLE, 0))
