"""Turning a configuration node into an object: the one place of genlab that instantiates anything.

A component is a mapping with ``_target_: package.module.name``; ``_partial_: true`` leaves it to be
called later. Before anything is built, the target is judged (``genlab.targets``), and every key checked
against its signature and annotations, with a did-you-mean.
"""

from __future__ import annotations

import enum
import functools
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from genlab.errors import UsageError
from genlab.spelling import suggest
from genlab.targets import resolve, signature

RESERVED = ("_target_", "_partial_")


def is_component(node: Any) -> bool:
    return isinstance(node, Mapping) and "_target_" in node


def build(node: Mapping[str, Any], *args: Any, where: str = "") -> Any:
    """The object that a component describes; ``args`` are passed before its keys.

    where: the dotted key of the node, for error messages.
    Raises UsageError for an unknown key, a value of the wrong type or a target that is not allowed,
    PluginError where the target's own package cannot be imported.
    """
    target = resolve(node["_target_"], where)
    partial = bool(node.get("_partial_"))
    keywords = _checked(target, node, where, skip=len(args), complete=not partial)
    make = functools.partial(_make, target, where)
    keywords = {key: _value(value, f"{where}.{key}") for key, value in keywords.items()}
    return functools.partial(make, *args, **keywords) if partial else make(*args, **keywords)


def _make(target: Callable[..., Any], where: str, /, *args: Any, **keywords: Any) -> Any:
    """What the target makes. It does not know where it stands: a refusal that begins with one of its
    parameters, ``steps=0 …``, gets the dotted key in front.
    """
    try:
        return target(*args, **keywords)
    except UsageError as error:
        named = re.match(r"(\w+)[.=]", str(error))
        if where and named and named[1] in list(signature(target)[0])[len(args) :]:
            error.args = (f"{where}.{error}",)
        raise


def check(node: Any, where: str = "", *, given: int = 0) -> None:
    """Raise what ``build`` would raise for this node and those inside it, without building anything.

    given: how many leading parameters the caller will pass.
    """
    if is_component(node):
        target = resolve(node["_target_"], where)
        node = _checked(target, node, where, skip=given, complete=not node.get("_partial_"))
    if isinstance(node, Mapping):
        for key, value in node.items():
            check(value, f"{where}.{key}" if where else str(key))


def _value(value: Any, where: str) -> Any:
    if is_component(value):
        return build(value, where=where)
    if isinstance(value, Mapping):
        return {key: _value(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_value(inner, f"{where}[{i}]") for i, inner in enumerate(value))
    return value


# ------------------------------------------------------------------------------- keys against a signature


def _checked(
    target: Callable[..., Any],
    node: Mapping[str, Any],
    where: str,
    skip: int,
    complete: bool = True,
) -> dict[str, Any]:
    """The node's keys as keyword arguments, coerced to the annotations."""
    parameters, hints = signature(target)
    own = list(parameters)[skip:]
    given = {key: value for key, value in node.items() if key not in RESERVED}
    required = [n for n in own if parameters[n].default is inspect.Parameter.empty]
    for key in given:
        if key not in own:
            known = own if complete else [n for n in own if n not in required]
            raise UsageError(_unknown(where, str(key), known, target))
    missing = [n for n in required if n not in given] + [n for n in given if given[n] == "???"]
    if missing and complete:
        raise UsageError(f"{where}.{missing[0]} must be given: type {where}.{missing[0]}=…")
    return {
        key: coerce(_named(value, parameters[key]), hints.get(key, Any), f"{where}.{key}")
        for key, value in given.items()
    }


def _named(value: Any, parameter: inspect.Parameter) -> Any:
    """Options without a ``_target_`` are those of the part that stands as the parameter's default: a class,
    or a partial one with options of its own.
    """
    part, options = parameter.default, {}
    if isinstance(part, functools.partial):
        part, options = part.func, part.keywords
    if not isinstance(value, Mapping) or is_component(value) or not inspect.isclass(part):
        return value
    return {"_target_": f"{part.__module__}.{part.__name__}", "_partial_": True, **options, **value}


def _unknown(where: str, key: str, known: Sequence[str], target: Callable[..., Any]) -> str:
    full = f"{where}.{key}" if where else key
    return f"{full}: {target.__name__} has no parameter {key!r}{suggest(key, known)}"


# ------------------------------------------------------------------------------ values against annotations


def coerce(value: Any, hint: Any, where: str) -> Any:
    """value as the annotated type: lists become tuples, whole numbers floats, names enum members.

    >>> coerce([3, 4], tuple[int, ...], "model.hidden")
    (3, 4)
    """
    if is_component(value) or hint is Any or value == "???":
        return value
    try:
        return _coerce(value, hint)
    except (TypeError, ValueError):
        if isinstance(value, Mapping) and _is_part(hint):
            raise UsageError(
                f"{where}: these are options of a part, and no part is named: give "
                f"{where}._target_=… too"
            ) from None
        raise UsageError(f"{where}={_show(value)}: expected {_name(hint)}") from None


def _coerce(value: Any, hint: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, args)
    if origin is Literal:
        return _require(value in args, value)
    if origin is tuple:
        return _tuple(value, args)
    if origin is list or hint is list:
        return _list(value, args)
    if origin is dict or origin is Mapping or hint is dict:
        return _require(isinstance(value, Mapping), value)
    if hint is None or hint is type(None):
        return _require(value is None, value)
    if hint is bool:
        return _require(isinstance(value, bool), value)
    if hint is int:
        return _require(isinstance(value, int) and not isinstance(value, bool), value)
    if hint is float:
        return float(
            _require(isinstance(value, int | float) and not isinstance(value, bool), value)
        )
    if hint is str:
        return _require(isinstance(value, str), value)
    if inspect.isclass(hint) and issubclass(hint, enum.Enum | Path):
        return hint(value)
    return _require(not isinstance(value, str | int | float | bool | Mapping | None), value)


def _is_part(hint: Any) -> bool:
    """Whether a component is expected, which only a ``_target_`` can give."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(map(_is_part, get_args(hint)))
    if get_origin(hint) is not None:
        return get_origin(hint) is Callable
    plain = (int, float, str, type(None), list, tuple, dict, enum.Enum, Path)
    return hint is Callable or (inspect.isclass(hint) and not issubclass(hint, plain))


def _require(holds: bool, value: Any) -> Any:
    if not holds:
        raise TypeError
    return value


def _first_that_fits(value: Any, hints: Sequence[Any]) -> Any:
    for hint in sorted(hints, key=lambda h: h is float):
        try:
            return _coerce(value, hint)
        except (TypeError, ValueError):
            continue
    raise TypeError


def _tuple(value: Any, args: Sequence[Any]) -> tuple[Any, ...]:
    _require(isinstance(value, list | tuple), value)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_coerce(v, args[0]) for v in value)
    _require(len(args) == len(value), value)
    return tuple(_coerce(v, a) for v, a in zip(value, args, strict=True))


def _list(value: Any, args: Sequence[Any]) -> list[Any]:
    _require(isinstance(value, list | tuple), value)
    return [_coerce(v, args[0]) if args else v for v in value]


def _show(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else repr(value)


def _name(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        dict: "keys and values",
    }
    if hint in names:
        return names[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _name(a) for a in args)
    if origin is Literal:
        return " or ".join(map(str, args))
    if origin in (dict, Mapping):
        return _name(dict)
    if origin in (tuple, list):
        return f"a list, each {_name(args[0])}" if args else "a list"
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return " or ".join(str(m.value) for m in hint)
    if _is_part(hint):
        return "keys and values with a _target_"
    return str(getattr(hint, "__name__", hint))
