"""A package to start a plugin from: ``genlab plugins new NAME --kind model``.

``templates/common`` is in every package; ``templates/KIND`` is one small part that works, its configuration
and its test. A file's path and text may hold {{ name }}, {{ package }}, {{ distribution }}, {{ part }}
(the name of the class), {{ kind }} and {{ version }} of genlab; ``dot.`` begins a hidden name.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from genlab.errors import UsageError
from genlab.plugins import RESERVED
from genlab.runs import require_writable, write_text
from genlab.version import __version__

TEMPLATES = Path(__file__).parent / "templates"


def write(name: str, kind: str, folder: Path) -> Path:
    """The folder genlab-NAME of a new package, in ``folder``. Raises UsageError for a name that cannot be
    one, where that folder is there already, and where none can be made.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in RESERVED:
        raise UsageError(
            f"{name!r} is no name for a plugin: small letters, digits and _, as in acme"
        )
    distribution = f"genlab-{name.replace('_', '-')}"
    target = folder / distribution
    if target.exists():
        raise UsageError(
            f"{target} is there already: choose another name, or another folder with -o"
        )
    require_writable(folder)
    words = {
        "name": name,
        "package": f"genlab_{name}",
        "distribution": distribution,
        "part": "".join(part.capitalize() for part in name.split("_")),
        "kind": kind,
        "version": __version__,
    }
    for root in (TEMPLATES / "common", TEMPLATES / kind):
        for source in sorted(root.rglob("*.txt")):
            path = str(source.relative_to(root)).removesuffix(".txt").replace("dot.", ".")
            file = target / _filled(path, words)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, _filled(source.read_text(encoding="utf-8"), words))
    return target


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: words[match[1]], text)
