"""Ranges of settings: what lies outside is refused in one line that begins with the setting's own name.

A part does not know where it stands: ``components.build`` puts the dotted key in front of
``blocks=0 must be at least 1``.
"""

from __future__ import annotations

from collections.abc import Sequence

from genlab.errors import UsageError


def at_least(low: float, **settings: float | Sequence[float] | None) -> None:
    """Raise UsageError for a number, or any of a list, below ``low``. None is no number."""
    for name, value in settings.items():
        listed = isinstance(value, Sequence)
        each = value if listed else [] if value is None else [value]
        if not all(one >= low for one in each):
            given, must = (list(each), "hold numbers of") if listed else (value, "be")
            raise UsageError(f"{name}={given} must {must} at least {low}")


def one_or_more(low: float, **settings: Sequence[float]) -> None:
    """Raise UsageError for an empty list, and for one with a number below ``low``."""
    for name, values in settings.items():
        if not values or not all(value >= low for value in values):
            raise UsageError(f"{name}={list(values)} must be one or more numbers of at least {low}")


def below_one(**settings: float) -> None:
    """Raise UsageError for what is not in [0, 1), such as a rate of dropout."""
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise UsageError(f"{name}={value} must be in [0, 1)")
