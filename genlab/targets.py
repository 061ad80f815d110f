"""Which classes and functions a configuration may name: parts that genlab and installed plugins define, and
an exact list of torch and Lightning classes.

A part is a class, or a function annotated to return an object; of genlab, only what lies in the folders of
parts, and of its functions only those that a file of its own tree names.
So opening the run directory of a stranger makes objects and does nothing else.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import sys
import typing
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from genlab.errors import PluginError, UsageError, in_words, place
from genlab.options import core_configs
from genlab.plugins import not_used, plugins, used_plugins

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
    made = signature(target)[1].get("return")
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


def signature(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
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
