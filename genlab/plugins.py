"""Installed packages that offer components to genlab, found without importing any of them.

A distribution declares ``[project.entry-points."genlab.plugins"] acme = "genlab_acme"`` and carries
``genlab_acme/configs/<group>/<name>.yaml``. Its folder is located by ``find_spec`` on the top-level
name, which runs none of its code, so the command line stays fast however broken a plugin is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Plugin:
    """One entry point. folder: its ``configs`` directory, or None with the reason in ``problem``."""

    name: str
    package: str
    distribution: str
    version: str
    folder: Path | None
    problem: str = ""


@dataclass(frozen=True)
class Option:
    """One choice of a config group: ``model=made`` is Option("model", "made", …)."""

    group: str
    name: str
    path: Path
    distribution: str

    @property
    def summary(self) -> str:
        """The sentence in the file's first comment line, after Hydra's own header."""
        for line in self.path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            if not line.startswith("# @"):
                return line.lstrip("# ").strip()
        return ""


def core_configs() -> Path:
    """The folder of genlab's own configuration tree, installed or in a checkout."""
    spec = find_spec("genlab.configs")
    if spec is not None and spec.origin:
        return Path(spec.origin).parent
    return Path(__file__).parents[1] / "configs"


@cache
def plugins() -> tuple[Plugin, ...]:
    """Every installed plugin, sorted by name."""
    found = []
    for entry in sorted(entry_points(group="genlab.plugins"), key=lambda e: e.name):
        package = entry.value.split(":")[0].split(".")[0]
        folder, problem = _configs(package)
        dist = entry.dist
        name, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
        found.append(Plugin(entry.name, package, name, version, folder, problem))
    return tuple(found)


def _configs(package: str) -> tuple[Path | None, str]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None, f"package {package!r} is not installed"
    folder = Path(next(iter(spec.submodule_search_locations))) / "configs"
    if not folder.is_dir():
        return None, f"package {package!r} has no configs/ folder"
    return folder, ""


def config_folders() -> list[tuple[str, Path]]:
    """(distribution, folder) of every configuration tree, genlab's own first."""
    own = [("genlab", core_configs())]
    return own + [(p.distribution, p.folder) for p in plugins() if p.folder is not None]


def options(group: str) -> list[Option]:
    """Every choice of a group, from genlab and from plugins, sorted by name."""
    found = [
        Option(group, path.stem, path, distribution)
        for distribution, folder in config_folders()
        for path in (folder / group).glob("*.yaml")
    ]
    return sorted(found, key=lambda o: (o.name, o.distribution != "genlab"))
