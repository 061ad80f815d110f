"""What TensorBoard shows of a run is what ``metrics.csv`` holds, over stages and sessions."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import numpy as np
import pytest

import genlab
from genlab.contracts import UsageError
from genlab.interrupts import Interrupted
from genlab.models.boltzmann import DBN
from genlab.training import TensorBoard, stopping

WORDS = (
    *("model=dbn", "model.hidden=[8,8]", "data=digits_binary", "data.batch_size=130"),
    *("trainer=cpu", "trainer.threads=1", "logger=tensorboard", "evaluate=[]", "gallery=false"),
    *("stages.rbm1.max_epochs=2", "stages.rbm2.max_epochs=2"),
)


def shown(run: Path) -> list[tuple[str, int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return [
        (tag, event.step, event.value)
        for tag in events.Tags()["scalars"]
        for event in events.Scalars(tag)
    ]


def held(run: Path) -> list[tuple[str, int, float]]:
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        (f"{r['stage']}/{r['name']}", int(r["step"]), float(np.float32(r["value"]))) for r in rows
    ]


def test_it_shows_what_the_file_holds(tmp_path, monkeypatch):
    """Of a run that was asked to stop in the middle of its second machine, too."""
    monkeypatch.setattr(stopping, "SECONDS", 0.0)
    words, calls, loss = (*WORDS, f"folder={tmp_path}"), [0], DBN.on_after_backward

    def interrupted(self):
        calls[0] += 1
        if calls[0] == 33:
            signal.raise_signal(signal.SIGTERM)
        return loss(self)

    with monkeypatch.context() as patch:
        patch.setattr(DBN, "on_after_backward", interrupted)
        with pytest.raises(Interrupted):
            genlab.train(*words)
    run = genlab.train(*words, resume="auto").path
    assert [folder.name for folder in tmp_path.iterdir()] == [run.name]
    points = held(run)
    assert len(points) > 12
    assert sorted(shown(run)) == sorted(points)


def test_without_the_extra_it_is_refused_before_anything_is_written(monkeypatch):
    monkeypatch.setattr("genlab.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'genlab\[tensorboard\]'"):
        TensorBoard()
