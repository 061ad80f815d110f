"""A clock that is set back an hour whenever somebody looks."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

import genlab
from genlab.models.made import MADE
from genlab.runs import RunDirectory
from tests.stress.comparison import differences

WORDS = ["data=digits_binary", "model.hidden=[8]", "stages.fit.max_epochs=2", "gallery=false"]


def test_a_run_under_such_a_clock_is_the_same(tmp_path, monkeypatch):
    whole = genlab.train(*WORDS, f"folder={tmp_path / 'whole'}")
    hours, steps, start, loss = itertools.count(), itertools.count(), time.time(), MADE.loss

    def interrupted(self, batch):
        if next(steps) == 7:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch)

    monkeypatch.setattr(time, "time", lambda: start - 3600 * next(hours))
    monkeypatch.setattr(MADE, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        genlab.train(*WORDS, f"folder={tmp_path / 'cut'}")
    (path,) = (tmp_path / "cut").iterdir()
    run = RunDirectory(path)
    assert run.condition(run.read()) == "interrupted"
    assert genlab.train(*WORDS, f"folder={tmp_path / 'cut'}", resume="auto").path == path
    assert list(differences(whole.path, path)) == []
    assert 0 < run.read()["training_seconds"] < 600
    assert next(hours), "somebody has looked"
