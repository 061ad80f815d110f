"""Turning a configuration node into an object: the one place of genlab that instantiates anything.

A component is a mapping with ``_target_: package.module.name``; ``_partial_: true`` leaves it to be
called later. Before anything is built, every key is checked against the target's signature and
annotations (with a did-you-mean), and the target itself against what a configuration may name: parts
that genlab and installed plugins define, and an exact list of torch and Lightning classes. A part is a
class, or a function annotated to return an object; of genlab, only what lies in the folders of parts, and
of its functions only those that a file of its own tree names.
So opening the run directory of a stranger makes objects and does nothing else.
"""

from __future__ import annotations

import enum
import functools
import inspect
import itertools
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from genlab.errors import PluginError, UsageError, in_words, place
from genlab.options import core_configs
from genlab.plugins import not_used, plugins, used_plugins
from genlab.spelling import suggest

# Classes of other libraries that a configuration may name. A prefix would not be safe: torch.load and
# many others run code from a file.
ALLOWED = frozenset(
    {f"torch.optim.{name}" for name in ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta")}
    | {
        f"torch.nn.{name}"
        for name in ("ReLU", "SiLU", "GELU", "Tanh", "Sigmoid", "Softplus", "ELU")
    }
    | {
        f"pytorch_lightning.callbacks.{name}"
        for name in ("EarlyStopping", "LearningRateMonitor", "Timer", "DeviceStatsMonitor")
    }
    | {f"pytorch_lightning.loggers.{name}" for name in ("TensorBoardLogger", "CSVLogger")}
    | {
        f"pytorch_lightning.strategies.{name}"
        for name in ("DDPStrategy", "FSDPStrategy", "ModelParallelStrategy")
    }
)
# Where genlab's own parts lie. A run of its commands, or a function that writes a file, is no part.
FOLDERS = tuple(
    f"genlab.{name}" for name in ("data", "likelihood", "metrics", "models", "nn", "training")
)
TARGET = re.compile(r"_target_:\s*([\w.]+)")
RESERVED = ("_target_", "_partial_")
_trusted_prefixes: list[str] = []


def allow_targets(prefixes: Sequence[str]) -> None:
    """Let configurations name targets below these dotted prefixes too (``--allow-target my_models.``), and
    look for their code where genlab was started, too.
    """
    _trusted_prefixes.extend(prefixes)
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def trusted_prefixes() -> list[str]:
    """What ``--allow-target`` named."""
    return list(_trusted_prefixes)


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
        if where and named and named[1] in list(_signature(target)[0])[len(args) :]:
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


# ------------------------------------------------------------------------------- which targets are allowed


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The class or function at a dotted path, if a configuration may name it.

    The path is judged before anything is imported, and the object found there by its own module: an
    alias such as ``genlab.runs.os.getcwd`` does not count.
    """
    if not isinstance(path, str):
        raise UsageError(
            f"{where}._target_={path}: expected the dotted name of a class or function"
        )
    packages = {"genlab", *(p.package for p in used_plugins())}
    top = str(path).split(".")[0]
    extra = any(str(path).startswith(prefix) for prefix in _trusted_prefixes)
    if path in ALLOWED or extra:
        return _locate(path, where)
    if top not in packages:
        _refuse_unused(top, path, where)
        raise _refused(path, where)
    if top == "genlab" and not _lies_in(path, FOLDERS):
        raise _refused(path, where)
    if any(part.startswith("_") for part in path.split(".")):
        raise _refused(path, where)
    target = _locate(path, where)
    if not _lies_in(target.__module__, FOLDERS if top == "genlab" else (top,)):
        raise _refused(path, where)
    if not _makes_an_object(target, packages | {"torch", "pytorch_lightning"}):
        raise _refused(path, where)
    if top == "genlab" and not inspect.isclass(target) and path not in named_targets():
        raise _refused(path, where)
    return target


@functools.cache
def named_targets() -> frozenset[str]:
    """What the files of genlab's own tree name. A function of genlab's that none of them names is no part,
    whatever it returns: it may write a file.
    """
    files = core_configs().glob("*/*.yaml")
    found = (TARGET.findall(file.read_text(encoding="utf-8")) for file in files)
    return frozenset(itertools.chain.from_iterable(found))


def _refuse_unused(package: str, path: str, where: str) -> None:
    for plugin in plugins():
        if plugin.package == package:
            raise not_used(plugin, f"{where}: {path}: ")


def _lies_in(module: str, folders: Sequence[str]) -> bool:
    return any(module == folder or module.startswith(folder + ".") for folder in folders)


def _makes_an_object(target: Callable[..., Any], packages: Collection[str]) -> bool:
    """Whether it is a class, or a function annotated to return an instance of one of these packages'."""
    if inspect.isclass(target):
        return True
    made = _signature(target)[1].get("return")
    return inspect.isclass(made) and made.__module__.split(".")[0] in packages


def _refused(path: str, where: str) -> UsageError:
    return UsageError(
        f"{where}._target_={path} is not a component of genlab or of an installed plugin (a class, or a "
        f"function annotated to return an object): if you trust it, add --allow-target {path}"
    )


def _locate(path: str, where: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except AttributeError:
        raise UsageError(f"{where}._target_={path}: module {module} has no {name}") from None
    except (Exception, SystemExit) as error:
        if path.split(".")[0] == "genlab":
            raise UsageError(f"{where}._target_={path}: {error}") from error
        there = f" ({place(error)})" if place(error) else ""
        raise PluginError(
            f"{where}: {path} cannot be imported: {in_words(error)}{there}"
        ) from error
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        raise _refused(path, where)
    return found


# ------------------------------------------------------------------------------- keys against a signature


def _checked(
    target: Callable[..., Any],
    node: Mapping[str, Any],
    where: str,
    skip: int,
    complete: bool = True,
) -> dict[str, Any]:
    """The node's keys as keyword arguments, coerced to the annotations."""
    parameters, hints = _signature(target)
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


def _signature(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = {
        name: p for name, p in inspect.signature(target).parameters.items() if p.kind in kinds
    }
    function = target.__init__ if inspect.isclass(target) else target
    try:
        hints = typing.get_type_hints(function)
    except (
        NameError
    ):  # annotations that only exist for type checkers: keys are checked, types are not
        hints = {}
    return parameters, hints


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
