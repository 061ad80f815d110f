"""Words that mean the same in several verbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genlab.errors import UsageError


def runs_and_overrides(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Words with an equals sign are settings, unless such a path exists; the others are runs.

    Raises UsageError where no run is named.
    """
    paths = [Path(w) for w in words if "=" not in w or Path(w).is_dir()]
    overrides = [w for w in words if Path(w) not in paths]
    if not paths:
        raise UsageError("name at least one run directory, as genlab train printed it")
    return paths, overrides
