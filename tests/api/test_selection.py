"""Settings chosen on validation data become the run, and test data play no part in it."""

from __future__ import annotations

import json

import pytest

import genlab
from genlab.contracts import UsageError

QUICK = ["stages.fit.max_epochs=3", "gallery=false", "evaluate=[val]", "optimizer=adam"]


def test_the_best_on_validation_becomes_the_run(tmp_path):
    words = [
        *QUICK,
        f"folder={tmp_path}",
        "select={model.hidden: [[3], [40]], optimizer.lr: [1e-9, 1e-2]}",
    ]
    run = genlab.train(*words)
    selection = json.loads((run.path / "run.json").read_text())["selection"]
    assert len(selection["candidates"]) == 4
    best = min(selection["candidates"], key=lambda c: c["validation"])
    assert selection["chosen"] == best["values"] == {"model.hidden": [40], "optimizer.lr": 0.01}
    again = genlab.open(run.path)
    assert again.model.network.layers[0].out_features == 40
    score = again.evaluate("val")
    assert -score["nats"]["mean"] == pytest.approx(best["validation"], abs=1e-4)


def test_a_key_given_by_hand_is_not_chosen(tmp_path):
    words = [*QUICK, f"folder={tmp_path}", "model.hidden=[5]", "select={model.hidden: [[3], [40]]}"]
    run = genlab.train(*words)
    assert run.model.network.layers[0].out_features == 5
    assert "selection" not in json.loads((run.path / "run.json").read_text())


def test_select_that_is_no_choice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected keys and lists"):
        genlab.train(*QUICK, f"folder={tmp_path}", "select={model.hidden: 3}")


def test_candidate_with_a_wrong_value_is_refused_before_training(tmp_path):
    with pytest.raises(UsageError, match=r"optimizer\.lr=fast"):
        genlab.train(*QUICK, f"folder={tmp_path}", "select={optimizer.lr: [1e-3, fast]}")
    assert not list(tmp_path.iterdir())
