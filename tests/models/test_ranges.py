"""Every count of every model and of its parts is refused out of its range, and so is every rate of dropout.

What is refused names the whole key, as it would be typed.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from genlab.components import build
from genlab.config import compose
from genlab.contracts import DataSpec, Support, UnsupportedData, UsageError
from genlab.options import options
from genlab.ranges import at_least, below_one, one_or_more
from genlab.targets import resolve, signature

SPECS = [
    DataSpec("bits", "", (1, 8, 8), Support.BINARY, levels=2, classes=3),
    DataSpec("levels", "", (1, 8, 8), Support.LEVELS, levels=5, classes=3),
]
CHOICES = [
    *([f"model={option.name}"] for option in options("model")),
    *(["model=diffusion", f"denoiser={option.name}"] for option in options("denoiser")),
    *(["model=diffusion_binomial", f"network={option.name}"] for option in options("network")),
]
ANY = {"mask_seed", "fourier"}  # whole numbers of any sign
GIVEN = {"spec", "levels", "shape", "outputs", "classes", "machine"}  # by whoever builds it
UNUSED = {"top_learning"}  # with the defaults


def out_of_range(node: dict[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """Keys of a component and its parts, and values that they cannot have."""
    parameters, hints = signature(resolve(node["_target_"], where))
    for name in parameters.keys() - ANY - GIVEN - UNUSED:
        key, default, hint = f"{where}.{name}", parameters[name].default, str(hints.get(name))
        inner = node.get(name)
        if inspect.isclass(default) and not inner:
            inner = {"_target_": f"{default.__module__}.{default.__name__}"}
        if isinstance(inner, dict) and "_target_" in inner:
            yield from out_of_range(inner, key)
        elif name == "dropout":
            value = 2.0 if hint == "<class 'float'>" else [2.0, 0.5]
            yield key, value
        elif "tuple[int" in hint:
            yield key, [-1]
        elif "int" in hint.replace("<class 'int'>", "int").split(" | "):
            yield key, -1


def with_value(node: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *parts, last = key.split(".")[1:]
    node = here = copy.deepcopy(node)
    for part in parts:
        here = here.setdefault(part, {})
    here[last] = value
    return node


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_counts_and_rates_out_of_range_are_refused_by_their_whole_key(words):
    node = compose(words).resolved["model"]
    for key, value in out_of_range(node, "model"):
        with pytest.raises(UsageError) as refused:
            taken(with_value(node, key, value))
        assert str(refused.value).startswith(f"{key}="), key


def taken(node: dict[str, Any]) -> Any:
    """The model on the first data that it can take."""
    try:
        return build(node, SPECS[0], where="model")
    except UnsupportedData:
        return build(node, SPECS[1], where="model")


@pytest.mark.parametrize("value", [0, -1, float("nan"), [3, 0], [float("nan")]])
def test_at_least(value):
    at_least(1, n=1, m=None, many=(1, 2), none=())
    with pytest.raises(UsageError, match=r"^n=.*at least 1"):
        at_least(1, n=value)


@pytest.mark.parametrize("values", [(), (1, 0), (float("nan"),)])
def test_one_or_more(values):
    one_or_more(1, n=(1, 2))
    with pytest.raises(UsageError, match=r"^n=.*one or more numbers of at least 1"):
        one_or_more(1, n=values)


@pytest.mark.parametrize("value", [1, -0.1, float("nan")])
def test_below_one(value):
    below_one(p=0, q=0.99)
    with pytest.raises(UsageError, match=r"^p=.* must be in \[0, 1\)"):
        below_one(p=value)
