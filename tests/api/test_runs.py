"""Runs in Python: what is written can be opened, scored and drawn from again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import genlab
from genlab.api.plan import Plan
from genlab.contracts import UsageError
from genlab.runs import train_command

QUICK = ["stages.fit.max_epochs=2", "model.hidden=[20]", "gallery=false"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return genlab.train(*QUICK, f"folder={tmp_path_factory.mktemp('runs')}", "evaluate=[test]")


def test_score_file_agrees_with_its_values(run):
    (score,) = run.scores
    values = np.load(next(run.directory.scores.glob("*.npz")))["nats"]
    assert score["data"]["n"] == len(values) == 297
    assert score["nats"]["mean"] == pytest.approx(values.mean())
    assert score["nats"]["stderr"] == pytest.approx(values.std(ddof=1) / math.sqrt(297))
    assert score["bits_per_dim"] == pytest.approx(-values.mean() / (64 * math.log(2)))
    assert score["floor"]["nats"] == pytest.approx(-25.218, abs=1e-3)
    assert (score["nats"]["guarantee"], score["nats"]["measure"]) == ("exact", "mass")


def test_what_splits_share_is_computed_once(tmp_path, monkeypatch):
    """And each score is what it would be alone."""
    from genlab.likelihood import AnnealedImportance

    prepared = []
    prepare = AnnealedImportance.prepare

    def counted(self, data, *, generator):
        prepared.append(self)
        prepare(self, data, generator=generator)

    monkeypatch.setattr(AnnealedImportance, "prepare", counted)
    words = ["model=rbm", "model.hidden=8", "stages.rbm.max_epochs=1", "gallery=false"]
    ais = ["likelihood=ais", "likelihood.temperatures=20", "likelihood.chains=10"]
    run = genlab.train(*words, *ais, f"folder={tmp_path}", "evaluate=[val,test]")
    together = {score["data"]["split"]: score["nats"]["mean"] for score in run.scores}
    assert len(prepared) == 1
    for split, mean in together.items():
        assert genlab.open(run.path).evaluate(split)["nats"]["mean"] == mean
    assert len(prepared) == 3


def test_opened_run_is_the_same_model(run):
    again = genlab.open(run.path)
    x = again.data.dataset("test")[torch.arange(297)].x
    nats = again.model.log_likelihood(x, generator=torch.Generator()).nats
    stored = np.load(next(run.directory.scores.glob("*.npz")))["nats"]
    np.testing.assert_allclose(nats.detach().numpy(), stored, rtol=1e-5)


def test_samples_do_not_depend_on_how_many_are_asked_for(run):
    few, many = run.sample(10, seed=3), run.sample(100, seed=3)
    assert few.shape == (10, 1, 8, 8)
    assert torch.equal(few, many[:10])
    assert not torch.equal(few, run.sample(10, seed=4))


def test_same_seed_same_weights(tmp_path):
    runs = [genlab.train(*QUICK, f"folder={tmp_path}", "evaluate=[]", "seed=7") for _ in range(2)]
    first, second = (r.model.state_dict() for r in runs)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_record_says_how_it_was_made(run):
    record = json.loads((run.path / "run.json").read_text())
    assert record["status"] == "completed"
    assert record["overrides"][:2] == QUICK[:2]
    assert record["spec"]["support"] == "binary"
    assert record["threads"] >= 1


def test_label_of_unlabelled_model_is_refused(run):
    with pytest.raises(UsageError, match="not conditioned on labels"):
        run.sample(3, label=2)
    with pytest.raises(UsageError, match="10 classes"):
        run.sample(3, label=12)


def test_value_that_is_not_finite_leaves_no_mean():
    from genlab.contracts import Guarantee, LogLikelihood, Measure
    from genlab.likelihood.scoring import Scored

    result = LogLikelihood(torch.empty(0), Guarantee.EXACT, Measure.MASS, "made up")
    summary = Scored(np.array([-1.0, np.nan, -2.0]), {}, result).summary()
    assert summary["mean"] is None
    assert "row 1" in summary["reason"]


def test_command_of_a_run_names_what_was_trusted():
    record = {"overrides": ["model=mine", "select={a: [1]}"], "trusted": ["my_models."]}
    words = "genlab train model=mine 'select={a: [1]}' --allow-target=my_models."
    assert train_command(record) == words


def test_data_named_as_on_a_hub_name_a_run():
    plan = Plan(["model=made", "data=digits_binary"])
    plan.data.spec = replace(plan.data.spec, name="owner/digits")
    assert plan.name == "made-owner-digits"
