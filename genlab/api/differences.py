"""What differs between the settings of a run and those it is asked to go on with, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genlab.config import notation

MOST = 8  # differing keys that a line names
ABSENT = object()


Difference = tuple[str, Any, Any]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """(dotted key, value before, value now) of every key that differs; ABSENT where it is not set.

    Of a component that became another one only that is said: its other keys have another meaning.

    >>> differences({"model": {"hidden": [5, 5]}, "seed": 0}, {"model": {"hidden": [5]}, "seed": 0})
    [('model.hidden', [5, 5], [5])]
    """
    return list(_differing(before, now, ""))


def sentence(found: Sequence[Difference]) -> str:
    """
    >>> sentence([("model.hidden", [5, 5], [5]), ("model.masks", ABSENT, 2)])
    'trained with model.hidden=[5, 5], model.masks unset and you gave model.hidden=[5], model.masks=2'
    """
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    then = ", ".join(_setting(key, value) for key, value, _ in found[:MOST])
    now = ", ".join(_setting(key, value) for key, _, value in found[:MOST])
    return f"trained with {then}{more} and you gave {now}{more}"


def _differing(before: Any, now: Any, where: str) -> Iterator[Difference]:
    if isinstance(before, Mapping) or isinstance(now, Mapping):
        before, now = ({} if node in (None, ABSENT) else node for node in (before, now))
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        if before != now:
            yield where, before, now
        return
    if before.get("_target_") != now.get("_target_"):
        before, now = ({"_target_": node.get("_target_", ABSENT)} for node in (before, now))
    for key in dict.fromkeys([*before, *now]):
        dotted = f"{where}.{key}" if where else str(key)
        yield from _differing(before.get(key, ABSENT), now.get(key, ABSENT), dotted)


def _setting(key: str, value: Any) -> str:
    return f"{key} unset" if value is ABSENT else f"{key}={notation(value)}"
