"""Packages that genlab does without until somebody asks for what they do."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from genlab.errors import UsageError


def extra(name: str, package: str, asker: str) -> ModuleType:
    """The package, imported. Raises UsageError with what to install where there is none.

    name: the extra of genlab that brings it. asker: what needs it, as it was typed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise UsageError(f"{asker} needs {package}: pip install 'genlab[{name}]'") from None
