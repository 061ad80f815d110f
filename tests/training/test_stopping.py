"""Processes ask each other about once a second, however long steps and epochs are."""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from genlab.training.stopping import BetweenSteps


@pytest.mark.parametrize("step", [0.003, 0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("epoch", [7, 50, 469, 5000])
@pytest.mark.parametrize("validation", [0.0, 0.5])
@pytest.mark.parametrize("accumulated", [1, 4])
def test_how_often_processes_ask(monkeypatch, step, epoch, validation, accumulated):
    """No reduction here: all processes would have the same. step: seconds of a batch."""
    now, asked = 0.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda *_: asked.append(now))
    checkpoints = SimpleNamespace(seconds=600, is_late=lambda: False)
    loop = SimpleNamespace()
    strategy = SimpleNamespace(root_device="cpu")
    trainer = SimpleNamespace(world_size=2, should_stop=False, fit_loop=loop, strategy=strategy)
    callback = BetweenSteps(checkpoints)
    callback.on_train_start(trainer, None)
    for index in range(20_000):
        now += step
        trainer.is_last_batch = (index + 1) % epoch == 0
        in_a_step = (index % epoch + 1) % accumulated and not trainer.is_last_batch
        loop._should_accumulate = partial(bool, in_a_step)
        callback.on_train_batch_end(trainer, None, {}, None, index)
        if trainer.is_last_batch:
            now += validation
            callback.on_train_epoch_end(trainer, None)
    between = torch.tensor(asked).diff()
    assert between.max() < 1.5 + validation + accumulated * step
    assert len(asked) < 3 * now + 2 * 20_000 / epoch
