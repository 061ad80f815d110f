"""Where Hydra finds configurations: genlab's tree, those of plugins, and each of these under its name.

``model/small`` is looked for in one tree after the other, ``model/acme/small`` in acme's alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from genlab.options import OWN, Tree, trees
from genlab.trust import Refused
from genlab.trust.text import require_bounded


def register() -> None:
    """Tell Hydra; doing so again changes nothing."""
    Plugins.instance().register(_Trees)
    Plugins.instance().register(_Qualified)
    Plugins.instance().register(_Folder)


class _Trees(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for tree in trees():
            search_path.append(
                provider=tree.distribution, path=f"{_Qualified.scheme()}://{tree.name}"
            )
            if tree.name != OWN:  # which is Hydra's primary one
                path = f"{_Folder.scheme()}://{tree.folder}"
                search_path.append(provider=tree.distribution, path=path)


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    """Reading a file that may stand for too much, or have a first line that Hydra does not understand."""
    require_bounded(path)
    try:
        yield
    except ValueError as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        raise Refused(f"{path}: {error}") from error


class _Folder(FileConfigSource):
    """A tree of somebody else's, whose files are looked at before they are read."""

    @staticmethod
    def scheme() -> str:
        return "genlab-tree"

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        with _checked(path):
            return super().load_config(config_path)


class _Qualified(ConfigSource):
    """One tree, its option ``small`` of the group ``model`` being ``model/acme/small``."""

    @staticmethod
    def scheme() -> str:
        return "genlab"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._tree.folder / self._inside(config_path)
        with _checked(path):
            header = self._get_header_dict(path.read_text(encoding="utf-8"))
            return ConfigResult(self.provider, self.full_path(), OmegaConf.load(path), header)

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return re.fullmatch(rf"[^/]+/{self.path}", config_path) is not None

    def is_config(self, config_path: str) -> bool:
        inside = self._inside(config_path)
        return bool(inside) and (self._tree.folder / inside).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if not self.is_group(config_path) or results_filter is ObjectType.GROUP:
            return []
        group = config_path.split("/")[0]
        return sorted(path.stem for path in (self._tree.folder / group).glob("*.yaml"))

    @property
    def _tree(self) -> Tree:
        return next(tree for tree in trees() if tree.name == self.path)

    def _inside(self, config_path: str) -> str:
        """The path of its file in the tree: model/small.yaml of model/acme/small, none of another name."""
        match = re.fullmatch(rf"([^/]+)/{self.path}/([^/]+?)(\.yaml)?", config_path)
        return f"{match[1]}/{match[2]}.yaml" if match else ""
