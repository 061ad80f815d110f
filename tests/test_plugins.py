"""A package is there because it is installed; however broken it is, everything else goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def install(folder: Path, name: str, code: str, files: dict[str, str]) -> None:
    """A distribution genlab-<name> with an entry point, as pip would leave it."""
    package = folder / f"genlab_{name}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    for path, text in files.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text)
    about = folder / f"genlab_{name}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: genlab-{name}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[genlab.plugins]\n{name} = genlab_{name}\n")


MODEL = """
from genlab.models.made import MADE

def small(spec, hidden: int = 7) -> MADE:
    return MADE(spec, hidden=(hidden,))
"""


@pytest.fixture
def site(tmp_path) -> Path:
    folder = tmp_path / "site"
    yaml = "# A small model of somebody else\n_target_: genlab_acme.small\n"
    install(folder, "acme", MODEL, {"configs/model/small.yaml": yaml})
    broken = "# Cannot be imported\n_target_: genlab_broken.Model\n"
    install(folder, "broken", "raise RuntimeError('my bug')", {"configs/model/bad.yaml": broken})
    install(folder, "empty", "", {})
    return folder


def genlab(site: Path, *words: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "genlab", *words]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        cwd=site.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_listed_with_their_distribution_and_status(site):
    listed = json.loads(genlab(site, "plugins", "list", "--json").stdout)
    assert [(p["name"], p["status"]) for p in listed] == [
        ("acme", "ok"),
        ("broken", "ok"),
        ("empty", "package 'genlab_empty' has no configs/ folder"),
    ]
    models = json.loads(genlab(site, "list", "models", "--json").stdout)["models"]
    small = next(m for m in models if m["name"] == "small")
    assert small == {
        "name": "small",
        "summary": "A small model of somebody else",
        "distribution": "genlab-acme",
    }


def test_model_of_a_plugin_is_built(site):
    done = genlab(site, "config", "check", "model=small", "model.hidden=5")
    assert done.returncode == 0, done.stderr
    assert "MADE on digits" in done.stdout


def test_broken_plugin_is_an_error_only_for_who_asks_for_it(site):
    assert genlab(site, "config", "check", "model=made").returncode == 0
    done = genlab(site, "config", "check", "model=bad")
    assert done.returncode == 3
    assert "my bug" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" in genlab(site, "config", "check", "model=bad", "--debug").stderr


def test_name_offered_twice_is_refused(site):
    yaml = "_target_: genlab_other.small\n"
    install(site, "other", MODEL, {"configs/model/small.yaml": yaml})
    done = genlab(site, "config", "check", "model=small")
    assert done.returncode == 2
    assert "genlab-acme and genlab-other" in done.stderr
