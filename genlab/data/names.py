"""Choosing one of several names, with a suggestion for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from genlab.contracts import UsageError


def check_name(kind: str, name: str, among: Iterable[str]) -> None:
    """Raise UsageError, naming the nearest choice, where ``name`` is not one of them."""
    choices = list(among)
    if name in choices:
        return
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no {kind} {name!r}: {hint}choose one of {', '.join(choices)}")
