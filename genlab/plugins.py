"""Installed packages that offer components to genlab, found without importing any of them.

A distribution declares ``[project.entry-points."genlab.plugins"] acme = "genlab_acme"`` and carries
``genlab_acme/configs/<group>/<name>.yaml``. Its folder is located by ``find_spec`` on the top-level
name, which runs none of its code, so the command line stays fast however broken a plugin is.

Which of them are used is decided by the environment, so that every process of a run agrees:

    GENLAB_PLUGINS=acme,genlab-other     these alone, by their own names or those of distributions
    GENLAB_DISABLE_PLUGINS=acme          all but these; * for all (``--no-plugins``)
    GENLAB_STRICT_PLUGINS=1              one with a problem is an error, not a line in a list
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path

from genlab.errors import GenlabError, PluginError, UsageError, in_words
from genlab.spelling import suggest
from genlab.version import __version__

GROUP = "genlab.plugins"
ONLY, EXCEPT, STRICT = "GENLAB_PLUGINS", "GENLAB_DISABLE_PLUGINS", "GENLAB_STRICT_PLUGINS"
RESERVED = ("genlab", "local")  # names of places that are no plugins


@dataclass(frozen=True)
class Plugin:
    """One entry point. folder: its ``configs`` directory, if it has one. Where there is a ``problem``, or
    it is ``disabled``, nothing of it is offered or imported.
    """

    name: str
    package: str
    distribution: str
    version: str
    folder: Path | None = None
    problem: str = ""
    disabled: str = ""

    @property
    def used(self) -> bool:
        return not self.problem and not self.disabled

    @property
    def status(self) -> str:
        return self.disabled or self.problem or "ok"


@cache
def plugins() -> tuple[Plugin, ...]:
    """Every installed plugin, sorted by name, those that are not used among them.

    Raises UsageError where the environment names one that is not installed, PluginError in strict mode for
    one with a problem.
    """
    found = tuple(_without_twins(list(_chosen(list(_installed())))))
    wrong = [
        f"plugin {plugin.name} ({plugin.distribution}): {plugin.problem}"
        for plugin in found
        if plugin.problem and not plugin.disabled
    ]
    if wrong and os.environ.get(STRICT, "0") not in ("", "0"):
        raise PluginError("; ".join(wrong))
    return found


def used_plugins() -> tuple[Plugin, ...]:
    return tuple(plugin for plugin in plugins() if plugin.used)


def _installed() -> Iterator[Plugin]:
    """Sorted by name; first those distributions that cannot say whether they are any."""
    try:
        entries = list(entry_points(group=GROUP))
    except Exception:  # one broken file, and importlib tells of none: they are asked one by one
        entries = []
        for distribution in distributions():
            try:
                entries += distribution.entry_points.select(group=GROUP)
            except Exception as error:
                name = Path(str(getattr(distribution, "_path", "unknown"))).name
                yield Plugin("", "", name, "unknown", problem=f"{in_words(error)} in its metadata")
    unique = dict.fromkeys(entries)
    yield from map(_plugin, sorted(unique, key=lambda e: (e.name, e.value)))


def _plugin(entry: EntryPoint) -> Plugin:
    package = entry.value.split(":")[0].split(".")[0].strip()
    name = (entry.dist and entry.dist.name) or "unknown"
    version = (entry.dist and entry.dist.version) or "unknown"
    folder, problem = _configs(package)
    problem = _misnamed(entry.name) or _incompatible(entry.dist) or problem
    return Plugin(entry.name, package, name, version, folder, problem)


def _configs(package: str) -> tuple[Path | None, str]:
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None, f"package {package!r} is not installed"
    folder = Path(next(iter(spec.submodule_search_locations))) / "configs"
    if not folder.is_dir():
        return None, f"package {package!r} has no configs/ folder"
    return folder, ""


def _misnamed(name: str) -> str:
    if name in RESERVED:
        return f"the name {name!r} is genlab's own"
    return "" if name.isidentifier() else f"the name {name!r} is not letters, digits and _"


def _incompatible(distribution: Distribution | None) -> str:
    """What its metadata require of genlab, if this genlab is not that."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in (distribution.requires if distribution else None) or ():
        try:
            needed = Requirement(line)
        except InvalidRequirement:
            return f"its requirement {line!r} cannot be read"
        applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if needed.name.lower() != "genlab" or not applies:
            continue
        if not needed.specifier.contains(__version__, prereleases=True):
            return f"it needs genlab{needed.specifier}, and this is genlab {__version__}"
    return ""


def _chosen(found: Sequence[Plugin]) -> Iterator[Plugin]:
    """With what the environment says of each."""
    only, never = _names(ONLY), _names(EXCEPT)
    require_installed(only, found, f"{ONLY}: ")
    for plugin in found:
        names, disabled = {plugin.name, plugin.distribution}, ""
        if "*" in never:
            disabled = f"all are off (--no-plugins or {EXCEPT}=*)"
        elif names & never:
            disabled = f"disabled by {EXCEPT}"
        elif ONLY in os.environ and not names & only:
            disabled = f"not named in {ONLY}"
        yield replace(plugin, disabled=disabled)


def _names(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",")} - {""}


def require_installed(names: Collection[str], found: Sequence[Plugin], asker: str = "") -> None:
    """Raise UsageError for a name that is no plugin's and no distribution's. asker: who named it."""
    known = sorted({p.name for p in found})
    for name in names:
        if name not in {*known, *(p.distribution for p in found)}:
            instead = suggest(name, known) if known else ", and no other"
            raise UsageError(f"{asker}no plugin {name!r} is installed{instead}")


def named(names: Collection[str]) -> list[Plugin]:
    """The plugins of these names, or of distributions of these names; all where there are none."""
    require_installed(names, plugins())
    return [p for p in plugins() if not names or {p.name, p.distribution} & set(names)]


def not_used(plugin: Plugin, asked: str = "") -> GenlabError:
    """The error for somebody who asks for a part of it: his own doing where the environment says so."""
    kind = UsageError if plugin.disabled else PluginError
    return kind(f"{asked}plugin {plugin.name} is not used: {plugin.status}")


def _without_twins(found: Sequence[Plugin]) -> Iterator[Plugin]:
    """Those that share a name cannot be told apart: none of them is used."""
    enabled = [plugin for plugin in found if not plugin.disabled]
    for plugin in found:
        twins = [p.distribution for p in enabled if p.name == plugin.name and p is not plugin]
        if twins and not plugin.disabled:
            problem = (
                f"{' and '.join(twins)} has a plugin of this name too: uninstall one of them, or set "
                f"{EXCEPT}={twins[0]}"
            )
            plugin = replace(plugin, problem=problem)
        yield plugin
