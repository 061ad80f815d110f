"""What importing a module does besides: ``python -m genlab.probe FILE MODULE…`` writes it to FILE as JSON.

A process of its own is made for each plugin, so that what one of them does is seen by nobody else.
Torch and Lightning are imported before, and the time is that of the modules alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import Any

from genlab.errors import in_words, place
from genlab.plugins import Plugin
from genlab.readable import faults

PATIENCE = 60.0  # seconds for an import


@dataclass(frozen=True)
class Finding:
    """seconds: of the import. error: its text, and where it came from in the author's own files, if it is
    known. changed: in words, what is not as it was. unreadable: a sentence for each of its configurations
    that is not YAML.
    """

    seconds: float | None
    error: str = ""
    where: str = ""
    changed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return not (self.error or self.changed or self.unreadable)


def probe(plugin: Plugin) -> Finding:
    """What importing it in a process of its own does, and whether its configurations can be read; its
    problem where it is not used.
    """
    if plugin.problem:
        return Finding(None, plugin.problem)
    assert plugin.folder is not None
    return replace(_imported(plugin), unreadable=tuple(faults(plugin.folder)))


def _imported(plugin: Plugin) -> Finding:
    assert plugin.folder is not None
    with TemporaryDirectory() as place:
        file = Path(place) / "found.json"
        home = str(plugin.folder.parent)
        command = [sys.executable, "-m", "genlab.probe", str(file), home, *modules_of(plugin)]
        with Popen(command, stdout=PIPE, stderr=DEVNULL, stdin=DEVNULL) as process:
            assert process.stdout is not None
            process.stdout.readline()  # once torch and Lightning are there
            try:
                code = process.wait(PATIENCE)
            except TimeoutExpired:
                process.kill()
                return Finding(None, f"its import takes longer than {PATIENCE:.0f} s")
        if not file.is_file():
            return Finding(None, f"its import ends Python, with exit code {code}")
        found = json.loads(file.read_text())
    return Finding(found["seconds"], found["error"], found["where"], tuple(found["changed"]))


def modules_of(plugin: Plugin) -> list[str]:
    """Its package, and the modules in it that its configurations name."""
    assert plugin.folder is not None
    files = sorted(plugin.folder.glob("*/*.yaml"))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    target = re.compile(rf"_target_:\s*['\"]?({re.escape(plugin.package)}[\w.]*)\.\w")
    named = [match[1] for text in texts for match in target.finditer(text)]
    return list(dict.fromkeys([plugin.package, *named]))


def main(file: Path, home: str, modules: Sequence[str]) -> None:
    import pytorch_lightning  # noqa: F401  (and with it torch: their time is not the plugin's)

    print("ready", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
    before, start, error, where = _state(), time.perf_counter(), "", ""
    try:
        for module in modules:
            import_module(module)
    except (Exception, SystemExit) as raised:
        error, where = in_words(raised), place(raised, home)
    seconds, after = time.perf_counter() - start, _state()
    changed = [_in_words(what, before[what], after[what]) for what in before]
    found = {
        "seconds": seconds,
        "error": error,
        "where": where,
        "changed": list(filter(None, changed)),
    }
    file.write_text(json.dumps(found))


def _state() -> dict[str, Any]:
    """What an import must leave alone, by name."""
    import logging
    import random

    import numpy as np
    import torch

    looked: dict[str, Callable[[], Any]] = {
        "torch's default dtype": torch.get_default_dtype,
        "torch's default device": torch.get_default_device,
        "torch's number of threads": torch.get_num_threads,
        "torch's gradient mode": torch.is_grad_enabled,
        "torch's random state": lambda: hash(bytes(torch.get_rng_state().tolist())),
        "NumPy's random state": lambda: hash(str(np.random.get_state())),  # noqa: NPY002
        "Python's random state": lambda: hash(random.getstate()),
        "the working directory": os.getcwd,
        "the environment": lambda: dict(os.environ),
        "the argument checks of torch.distributions": _validation,
        "the handlers of the root logger": lambda: len(logging.getLogger().handlers),
        "matplotlib's backend": _backend,
    }
    return {what: value() for what, value in looked.items()}


def _validation() -> bool:
    from torch.distributions import Distribution

    return Distribution._validate_args


def _backend() -> str | None:
    """matplotlib's, where somebody has set it; asking matplotlib itself would set it."""
    matplotlib = sys.modules.get("matplotlib")
    chosen = matplotlib and dict.get(matplotlib.rcParams, "backend")
    return chosen if isinstance(chosen, str) and chosen != os.environ.get("MPLBACKEND") else None


def _in_words(what: str, before: Any, after: Any) -> str:
    """Empty where nothing has changed."""
    if before == after:
        return ""
    if isinstance(before, dict):
        keys = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
        return f"{what}: {', '.join(keys)}"
    return what if what.endswith("state") else f"{what}: {before} is now {after}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
