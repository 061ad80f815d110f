"""Choosing one of several names, with a suggestion for a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable

from genlab.contracts import UsageError
from genlab.spelling import suggest


def check_name(kind: str, name: str, among: Iterable[str]) -> None:
    """Raise UsageError, naming the nearest choice or all of them, where ``name`` is none of them."""
    choices = list(among)
    if name not in choices:
        raise UsageError(f"there is no {kind} {name!r}{suggest(name, choices)}")
