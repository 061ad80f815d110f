"""JSON of somebody else, held against the shape that its readers expect.

A shape is a type, a tuple of types, a list of one shape for a list of any length, or a mapping of
shapes, whose keys may be missing where they end with ``?``.

>>> require({"n": 3, "x": [1, None]}, {"n": int, "x": [(int, type(None))], "more?": str})
>>> require({"n": "3"}, {"n": int}, "data")
Traceback (most recent call last):
TypeError: data.n is a str
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = type(None)
NUMBER = (int, float)
MAYBE = (int, float, NOTHING)
TEXT = (str, NOTHING)
LARGEST = 1e300  # nothing that is shown overflows

Shape = Any

DATA = {"name": str, "variant": str, "split": str, "n": int, "spec?": object, "sha256?": TEXT}
CHECKPOINT = {"path?": str, "sha256?": str, "stage?": str, "weights?": str}
SIGNED = {"data": DATA, "checkpoint?": CHECKPOINT, "created?": str, "npz_sha256?": str}
SCORE = SIGNED | {
    "nats": {
        "mean": MAYBE,
        "stderr?": MAYBE,
        "reason?": TEXT,
        "guarantee": str,
        "measure": str,
        "method": str,
        "given?": TEXT,
        "mean_on_original_scale?": MAYBE,
        "diagnostics?": dict,
    },
    "bits_per_dim?": MAYBE,
    "likelihood?": {"name?": str, "precision?": str, "parameters?": object},
}
BRACKET = {"low": NUMBER, "high": NUMBER, "two_sided": bool}
ANSWERS = SIGNED | {
    "metric": {"name": str, "parameters": dict, "shown": [str], "precision?": str},
    "floor": {"of": str, "values": dict},
    "values": dict,
    "facts": dict,
}
VALUE = {"mean": MAYBE, "stderr": MAYBE, "reason?": TEXT}
POINT = {
    "number": int,
    "words": [str],
    "fingerprint": str,
    "status": str,
    "run?": TEXT,
    "exit_code?": (int, NOTHING),
    "error?": TEXT,
    "value?": MAYBE,
    "validations?": (int, NOTHING),
    "as?": (int, NOTHING),
}
SWEEP = {"words": [str], "points": [POINT]}
TUNE = SWEEP | {"trials": int, "sampler": str, "pruner": str, "seed": int, "monitored?": str}
QUALITY = SIGNED | {
    "metric": {"name": str, "parameters": dict, "shown": [str]},
    "features": {"name": str, "accuracy?": MAYBE},
    "values": dict,
    "reference": {"of?": str, "values": dict},
}


def require(value: Any, shape: Shape, where: str = "") -> None:
    """Raise TypeError, naming the place, for what has another shape or is not there."""
    if isinstance(shape, dict):
        _require_keys(value, shape, where)
    elif isinstance(shape, list):
        _require_type(value, list, where)
        for each in value:
            require(each, shape[0], where)
    else:
        _require_type(value, shape, where)
        if type(value) in (int, float) and not abs(value) < LARGEST:
            raise TypeError(f"{where} is beyond all numbers")


def _require_keys(value: Any, shape: Mapping[str, Shape], where: str) -> None:
    _require_type(value, dict, where)
    for key, inner in shape.items():
        name = key.removesuffix("?")
        if name in value:
            require(value[name], inner, f"{where}.{name}".lstrip("."))
        elif key == name:
            raise TypeError("there is no " + f"{where}.{name}".lstrip("."))


def _require_type(value: Any, kind: Any, where: str) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kind) or (isinstance(value, bool) and not {bool, object} & set(kinds)):
        raise TypeError(f"{where or 'it'} is a {type(value).__name__}")


def optional(value: Any, shape: Shape, where: str) -> None:
    """As ``require``, unless there is none."""
    if value is not None:
        require(value, shape, where)


def require_some(value: list[Any], where: str) -> None:
    """Raise TypeError for a list that is empty."""
    if not value:
        raise TypeError(f"{where} is empty")
