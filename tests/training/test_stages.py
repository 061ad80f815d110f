"""A run in stages, killed again and again at every kind of moment, ends where an undisturbed one ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from genlab.contracts import UsageError
from genlab.data import Threshold, digits
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from tests.stress.comparison import same
from tests.training.running import STAGES, assert_same, entered, only_run, train
from tests.training.staged import Staged

# The moments in their order, and the stages that the process which ends there has entered.
MOMENTS = [
    ("step 77 of encode", ["encode"]),
    ("validation 1 of encode", ["encode"]),  # its best is saved, its last is not
    ("end of encode", ["encode"]),
    ("before chain", ["encode", "chain"]),  # finished.json is written, the next is not begun
    ("within begin of chain", ["chain"]),
    ("step 40 of chain", ["chain"]),  # no checkpoint yet: it begins anew
    ("step 187 of chain", ["chain"]),
    ("step 20 of decode", ["chain", "decode"]),  # the chains of the stage before are kept
    ("within solve of mean", ["decode", "mean"]),
    ("validation 0 of mean", ["mean"]),  # the last checkpoint of all is saved
    ("", ["mean"]),
]


@pytest.mark.slow
def test_two_processes_killed_and_resumed_equal_undisturbed(tmp_path):
    """Under plain ddp, which fails where a parameter that it knows gets no gradient."""
    train(tmp_path / "a", "trainer=ddp_cpu", trace=tmp_path / "undisturbed")
    for number, kill in enumerate(["step 120 of chain", "step 70 of decode", ""]):
        trace = tmp_path / f"trace{number}"
        train(tmp_path / "b", "trainer=ddp_cpu", "--resume=auto", kill=kill, trace=trace)
    undisturbed, resumed = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert_same(undisturbed, resumed)
    assert sorted(entered(tmp_path / "trace2")) == ["decode", "decode", "mean", "mean"]
    lines = (tmp_path / "undisturbed").read_text().splitlines()
    weights = sorted(line for line in lines if line.startswith("weights after"))
    assert len(weights) == 6
    assert weights[::2] == weights[1::2], "both processes hold the same weights"
    last = torch.load(resumed / "checkpoints" / "chain" / "last.ckpt", weights_only=True)
    first, second = (state["chain"] for state in last["rank_state"])
    assert not torch.equal(first, second), "and chains of their own"


@pytest.mark.slow
def test_killed_at_every_kind_of_moment_equals_undisturbed(tmp_path):
    train(tmp_path / "a", trace=tmp_path / "undisturbed")
    assert entered(tmp_path / "undisturbed") == STAGES
    for number, (kill, stages) in enumerate(MOMENTS):
        trace = tmp_path / f"trace{number}"
        train(tmp_path / "b", "--resume=auto", kill=kill, trace=trace)
        assert entered(trace) == stages, kill
    undisturbed, resumed = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert_same(undisturbed, resumed)
    record = json.loads((resumed / "run.json").read_text())
    assert record["status"] == "completed"
    assert len(record["sessions"]) == len(MOMENTS)


def fitted(path: Path, stages: int, processes: int = 2) -> Staged:
    data = digits(preprocess=Threshold(8), batch_size=50)
    run = RunDirectory(path)
    strategy = "ddp_fork" if processes > 1 else "auto"
    settings = TrainerSettings(accelerator="cpu", strategy=strategy, devices=processes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Staged(data.spec)
    fit(model, data, model.stages()[:stages], run, settings, seed=0)
    return model


def test_state_of_each_process_goes_on_from_stage_to_stage(tmp_path):
    fitted(tmp_path / "a", 4)
    fitted(tmp_path / "b", 2)
    fitted(tmp_path / "b", 4)
    assert_same(tmp_path / "a", tmp_path / "b")
    chains, decoded = (
        torch.load(tmp_path / "b" / "checkpoints" / stage / "last.ckpt", weights_only=True)
        for stage in ("chain", "decode")
    )
    assert same(chains["rank_state"], decoded["rank_state"]), "untouched by the stage after"
    first, second = (state["chain"] for state in chains["rank_state"])
    assert not torch.equal(first, second)


def test_progress_names_the_stage_and_how_many_there_are(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("genlab.progress.PATIENCE", -1.0)
    seen = []
    monkeypatch.setattr(RunDirectory, "spend", lambda run, _, progress: seen.append(progress))
    fitted(tmp_path, 4, processes=1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "stage 1/4 encode",
        "stage 2/4 chain",
        "stage 3/4 decode",
    ]
    assert "val/" not in lines[1], "it validates nothing"
    for number, (stage, end) in enumerate(zip(STAGES, [52, 52, 78, 0], strict=True), 1):
        about = [p for p in seen if p["stage"] == stage]
        assert {(p["number"], p["stages"], p["steps"]) for p in about} == {(number, 4, end)}
        assert [about[0]["step"], about[-1]["step"]] == [min(1, end), end]


def test_time_is_spent_by_every_session(tmp_path):
    fitted(tmp_path, 1, processes=1)
    before = json.loads((tmp_path / "run.json").read_text())["training_seconds"]
    fitted(tmp_path, 4, processes=1)
    after = json.loads((tmp_path / "run.json").read_text())["training_seconds"]
    assert 0 < before < after


def test_how_far_it_came_is_written_down_whatever_ends_it(tmp_path, monkeypatch):
    """Between two signs of life."""

    def fatal(self):
        if self.stage.name == "decode" and self.global_step == 30:
            raise RuntimeError("pulled")

    monkeypatch.setattr(Staged, "on_after_backward", fatal)
    with pytest.raises(RuntimeError, match="pulled"):
        fitted(tmp_path, 4, processes=1)
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["progress"]["stage"], record["progress"]["step"]) == ("decode", 30)


def test_another_number_of_processes_is_refused(tmp_path):
    fitted(tmp_path, 1)
    with pytest.raises(UsageError, match=r"encode was trained by 2 processes.*trainer\.devices=2"):
        fitted(tmp_path, 2, processes=1)


def test_curves_have_every_point_once(tmp_path):
    train(tmp_path)
    with (only_run(tmp_path) / "metrics.csv").open() as file:
        rows = [(row["stage"], row["name"], int(row["step"])) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows))
    assert list(dict.fromkeys(stage for stage, *_ in rows)) == STAGES
    points = [50, 100, 130, 180, 230, 260, 310, 360, 390]
    for stage, epochs in {"encode": 2, "chain": 2, "decode": 3}.items():
        assert [s for where, name, s in rows if (where, name) == (stage, "loss")] == points[
            : 3 * epochs
        ]
    values = {
        stage: [s for where, name, s in rows if (where, name) == (stage, "val/error")]
        for stage in STAGES
    }
    assert values == {"encode": [130, 260], "chain": [], "decode": [130, 260, 390], "mean": [0]}
