"""An independent check of MADE: it and zuko's flows find the entropy of the same Gaussian data."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gaussian.py"


@pytest.mark.parametrize("name", ["maf", "made"])
def test_agrees_with_the_entropy(name):
    measure = runpy.run_path(str(SCRIPT))["measure"]
    found = measure([name], rows=50_000, epochs=8, test=10_000, batch=200)
    assert found["truth"] == pytest.approx(found["entropy"], abs=0.06)  # 10,000 test data
    assert found[name] == pytest.approx(found["truth"], abs=0.02)
