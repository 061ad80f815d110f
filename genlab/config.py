"""From words on a command line to a checked configuration: Hydra's compose API, and stricter.

Because YAML states only what differs from a signature, ``a.b=v`` may name a key that no file mentions:
it is composed as ``++a.b=v``, and the check against signatures (genlab.components) takes the place of
Hydra's struct mode.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genlab.components import suggest
from genlab.contracts.errors import UsageError
from genlab.plugins import config_folders, core_configs, options

GROUPS = (
    "model",
    "data",
    "trainer",
    "optimizer",
    "likelihood",
    "callbacks",
    "logger",
    "experiment",
)
KEYS = (*GROUPS, "seed", "stages", "folder", "name", "evaluate", "gallery", "select")
# What decides the weights: two runs with the same values of these end in the same place.
IDENTITY = ("model", "data", "optimizer", "stages", "select", "callbacks", "seed")


class _PluginFolders(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for distribution, folder in config_folders()[1:]:
            search_path.append(provider=distribution, path=f"file://{folder}")


@dataclass(frozen=True)
class Composed:
    """A configuration, as written and with every interpolation resolved."""

    written: dict[str, Any]
    resolved: dict[str, Any]

    @property
    def launch_directory() -> str | None:
    """The run directory set by the process that launched this one, for ranks above zero."""
    return os.environ.get("GENLAB_RUN_DIR")
