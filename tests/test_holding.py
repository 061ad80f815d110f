"""One process at a time works on a folder, and others see whether it lives."""

from __future__ import annotations

import os
import time

import pytest

from genlab import holding
from genlab.contracts import UsageError


def test_a_second_holder_is_refused(tmp_path):
    file = tmp_path / ".lock"
    assert not holding.is_held(file)
    with holding.holding(file, "taken"):
        assert holding.is_held(file)
        with pytest.raises(UsageError, match="taken"), holding.holding(file, "taken"):
            pass
    assert not holding.is_held(file)


def test_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "BEAT", 0.01)
    file = tmp_path / ".lock"
    assert not holding.beats(file)
    with holding.holding(file, "taken"):
        os.utime(file, (0, 0))
        until = time.monotonic() + 10
        while not holding.beats(file) and time.monotonic() < until:
            time.sleep(0.01)
        assert holding.beats(file)
    time.sleep(0.1)
    os.utime(file, (0, 0))
    time.sleep(0.1)
    assert not holding.beats(file), "it has ended"


def test_a_sign_from_the_future_is_one(tmp_path):
    """Clocks of two machines differ, and are set back."""
    file = tmp_path / ".lock"
    file.touch()
    os.utime(file, (time.time() + 3600,) * 2)
    assert holding.beats(file)
