"""What there is to choose from: ``model=made`` names ``model/made.yaml`` in a tree of configurations.

genlab has such a tree, every plugin has one, and a folder ``configs`` where genlab is started is one
too, of models that are no package (``--allow-target`` says which code they may name). A name that several
offer is refused until it is written ``model=acme/made``; but genlab's own names stay its own, whatever a
plugin offers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

from genlab.errors import UsageError
from genlab.plugins import not_used, plugins, used_plugins
from genlab.spelling import suggest

GROUPS = (
    "model",
    "schedule",
    "denoiser",
    "network",
    "sampler",
    "data",
    "trainer",
    "optimizer",
    "likelihood",
    "metric",
    "callbacks",
    "logger",
    "experiment",
)
OWN, LOCAL = "genlab", "local"


@dataclass(frozen=True)
class Tree:
    """A tree of configurations. name: what qualifies its options. distribution: where it comes from."""

    name: str
    distribution: str
    folder: Path


@dataclass(frozen=True)
class Option:
    """One choice of a config group: ``model=made`` is Option("model", "made", …)."""

    group: str
    name: str
    tree: Tree

    @property
    def path(self) -> Path:
        return self.tree.folder / self.group / f"{self.name}.yaml"

    @property
    def distribution(self) -> str:
        return self.tree.distribution

    @property
    def qualified(self) -> str:
        return f"{self.tree.name}/{self.name}"

    @property
    def word(self) -> str:
        """What to type: the name, qualified where that alone would be another's or refused."""
        try:
            alone = option(self.group, self.name) == self
        except UsageError:
            alone = False
        return self.name if alone else self.qualified

    @property
    def also_by(self) -> list[str]:
        """Distributions that offer another option of this name."""
        return [o.distribution for o in options(self.group) if o.name == self.name and o != self]

    @property
    def summary(self) -> str:
        """The sentence in the file's first comment line, after Hydra's own header."""
        own = [line for line in self._comments() if not line.startswith("# @")]
        return own[0].lstrip("# ").strip() if own else ""

    @property
    def package(self) -> str | None:
        """Where its first line puts its keys, ``_global_`` for an experiment; None: under its group."""
        return next(map(_package, self._comments()), None)

    @property
    def packages(self) -> list[str]:
        """What all lines of its head say of that; Hydra reads none after another comment."""
        return [found for found in map(_package, self._comments()) if found]

    def _comments(self) -> list[str]:
        """The lines at the head of the file."""
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return list(takewhile(lambda line: line.startswith("#"), lines))


def _package(line: str) -> str | None:
    """
    >>> _package("# @package model.schedule")
    'model.schedule'
    """
    found = re.match(r"#\s*@package\s+(\S+)", line)
    return found and found[1]


def core_configs() -> Path:
    """The folder of genlab's own tree, installed or in a checkout."""
    spec = find_spec("genlab.configs")
    if spec is not None and spec.origin:
        return Path(spec.origin).parent
    return Path(__file__).parents[1] / "configs"


@cache
def trees() -> tuple[Tree, ...]:
    """Every tree that is used, genlab's own first and the local one last."""
    own = Tree(OWN, "genlab", core_configs())
    theirs = [Tree(p.name, p.distribution, p.folder) for p in used_plugins() if p.folder]
    here = Path("configs").resolve()
    checkout = (here / "config.yaml").exists()  # of genlab: that tree is whole by itself
    local = [Tree(LOCAL, "./configs", here)] if here.is_dir() and not checkout else []
    return (own, *theirs, *local)


@cache
def options(group: str) -> tuple[Option, ...]:
    """Every choice of a group, sorted by name; of one name, genlab's first."""
    found = [
        Option(group, path.stem, tree)
        for tree in trees()
        for path in (tree.folder / group).glob("*.yaml")
    ]
    return tuple(sorted(found, key=lambda o: (o.name, o.tree.name != OWN)))


def added_by(tree: str) -> list[Option]:
    """Every option of the tree of this name; none where it is not used."""
    return [o for group in GROUPS for o in options(group) if o.tree.name == tree]


def option(group: str, word: str) -> Option:
    """The one that a word names, ``made`` or ``acme/made``. Raises UsageError for none and for several."""
    among = options(group)
    found = [o for o in among if word in (o.name, o.qualified)]
    if not found:
        _refuse_unused(group, word)
        known = sorted({o.qualified if "/" in word else o.name for o in among})
        raise UsageError(f"{group}={word}: there is no such {group}{suggest(word, known)}")
    if len(found) > 1 and not _stays_our_own(found):
        where = " and ".join(o.distribution for o in found)
        words = " or ".join(f"{group}={o.qualified}" for o in found)
        raise UsageError(f"{group}={word} is offered by {where}: type {words}")
    return found[0]


def _refuse_unused(group: str, word: str) -> None:
    """Raise an error where an installed plugin that is not used is named, or has an option of this name."""
    for plugin in plugins():
        qualified = word.startswith(f"{plugin.name}/")
        offers = plugin.folder and (plugin.folder / group / f"{word}.yaml").is_file()
        if not plugin.used and (qualified or offers):
            raise not_used(plugin, f"{group}={word}: ")


def _stays_our_own(found: Sequence[Option]) -> bool:
    """Whether a name is genlab's, and only plugins offer it too."""
    return found[0].tree.name == OWN and all(o.tree.name != LOCAL for o in found)
