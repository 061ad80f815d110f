"""How a training is judged while it goes on is read out of its curves."""

from __future__ import annotations

import math

import pytest

from genlab.runs import RunDirectory, write_json
from genlab.sweeps.curve import curve

HEADER = "stage,epoch,step,name,value\n"


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    run = RunDirectory(tmp_path)
    run.config.touch()
    write_json(run.record, {"schema": 1, "stages": ["first", "last"]})
    return run


def test_the_first_value_of_the_last_stage(run):
    rows = ["first,0,9,val/a,1.0", "last,0,9,loss,0.5", "last,0,9,val/b,3.0", "last,0,9,val/c,0.1"]
    rows += ["last,0,9,lr,0.001", "last,1,18,val/b,2.0", "last,1,18,val/c,0.1", "last,2,27,val/b,"]
    run.curves.write_text(HEADER + "\n".join(rows) + "\n")
    found = curve(run)
    assert found is not None
    assert found.name == "val/b"
    assert found.values[:2] == (3.0, 2.0)
    assert math.isnan(found.values[2])
    assert found.best == 2.0


def test_before_there_is_any(run, tmp_path):
    assert curve(RunDirectory(tmp_path / "nowhere")) is None
    assert curve(run) is None
    run.curves.write_text(HEADER + "first,0,9,val/a,1.0\n")
    assert curve(run) is None


def test_none_is_finite(run):
    run.curves.write_text(HEADER + "last,0,9,val/a,\nlast,1,9,val/a,\n")
    found = curve(run)
    assert found is not None
    assert found.best is None
