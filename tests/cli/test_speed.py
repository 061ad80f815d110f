"""The verbs that only read words answer without torch."""

from __future__ import annotations

import subprocess
import sys

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
        ["runs", "."],
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
