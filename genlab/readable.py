"""Files that should be YAML: what is wrong with one that is not, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genlab.trust import Refused
from genlab.trust.text import require_bounded

UNREADABLE = (YAMLError, UnicodeDecodeError)


def fault(error: YAMLError | UnicodeDecodeError, file: Path | str = "a configuration") -> str:
    """File, line and reason. file: which it is, where the error does not say so."""
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name}, line {mark.line + 1}" if mark else str(file)
    reason = getattr(error, "problem", None) or str(error)
    return f"{where}: this is not YAML: {reason}"


def faults(folder: Path) -> Iterator[str]:
    """Of the configurations in a folder, group by group, that Hydra could not read."""
    for file in sorted(folder.glob("*/*.yaml")):
        try:
            require_bounded(file)
            content = OmegaConf.load(file)
        except Refused as error:
            yield str(error)
        except UNREADABLE as error:
            yield fault(error, file)
        except (OSError, OmegaConfBaseException) as error:
            yield f"{file}: {str(error).splitlines()[0]}"
        else:
            if not isinstance(content, DictConfig):
                yield f"{file}: expected keys and values, as _target_: …"
