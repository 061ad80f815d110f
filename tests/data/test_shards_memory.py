"""A hundred gigabytes cost no more memory than one: a short form of benchmarks/shards.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shards.py"


@pytest.mark.slow
def test_a_hundred_gigabytes_take_the_memory_of_one():
    command = [sys.executable, str(SCRIPT), "--batches", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 GB within 3% of 1 GB" in done.stdout
