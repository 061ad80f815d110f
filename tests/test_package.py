"""The wheel carries what the checkout has."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTING = """
import pathlib, genlab, genlab.configs
print(pathlib.Path(genlab.configs.__file__).parent)
"""


def test_every_package_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "genlab").rglob("__init__.py")
    }
    assert set(declared) == found | {"genlab.configs"}


@pytest.mark.slow
def test_installed_wheel_has_the_same_configuration_files(tmp_path):
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    asked = subprocess.run(
        [python, "-c", LISTING], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    installed = Path(asked.stdout.strip())
    assert installed.is_relative_to(tmp_path / "env")
    assert contents(installed) == contents(ROOT / "configs")
    package = installed.parent
    assert (package / "data" / "digits.npz").is_file()
    assert (package / "py.typed").is_file()


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.yaml")}
