"""The verbs that only read words answer without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from genlab.cli.main import main
try:
    code = main({words!r})
except SystemExit as stop:
    code = stop.code
heavy = {{"torch", "pytorch_lightning", "torchmetrics"}} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["list", "models", "--json"],
        ["config", "show"],
        ["plugins", "list"],
        ["sweep", "--help"],
        ["tune", "--help"],
        ["runs", "."],
        ["verify", "--help"],
        ["export", "--help"],
    ],
    ids=" ".join,
)
def test_does_not_import_torch(words):
    script = SCRIPT.format(words=words)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


PARENT = """
import sys
from tests.sweeps import fakes
fakes.install()
{script}
"""


@pytest.mark.parametrize("verb", ["sweep", "tune"])
def test_parents_do_not_import_torch(verb, tmp_path, monkeypatch):
    """Whatever they start does."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    words = [verb, "seed=1,2", "stages.fit.max_epochs=1", "-o", "new"]
    script = PARENT.format(script=SCRIPT.format(words=words))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "completed" in done.stdout
