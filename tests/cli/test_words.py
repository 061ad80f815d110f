"""Scores as lines on the terminal."""

from __future__ import annotations

import pytest

from genlab.cli.words import describe


@pytest.mark.parametrize(("mean", "hint"), [(-20.0, False), (-25.5, False), (-30.0, True)])
def test_a_model_behind_its_floor_reads_so(mean, hint):
    score = {
        "data": {"name": "digits", "variant": "threshold 8", "split": "test", "n": 297},
        "nats": {
            "mean": mean,
            "stderr": 0.3,
            "guarantee": "exact",
            "method": "mixture",
            "shared": None,
            "bracket": None,
            "diagnostics": {},
        },
        "bits_per_dim": None,
        "floor": {"nats": -25.22, "method": "…"},
    }
    assert "independent entries: 25.22" in describe(score)
    assert describe(score).endswith("which is better: train longer or faster") == hint
