"""Settings chosen on validation data become the run, and test data play no part in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import genlab
from genlab.api.selection import train_the_best
from genlab.contracts import GenlabError, UsageError
from genlab.runs import RunDirectory
from genlab.training import NonFinite, Validation
from tests.stress.comparison import curves
from tests.training.test_stages import only_run, train

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
    assert {candidate["name"] for candidate in selection["candidates"]} == {"val/nll"}
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


def test_the_record_tells_of_the_stages_of_the_chosen(tmp_path):
    """Candidates may differ in depth, and so in their stages."""
    words = ["model=stack_classifier", "model.hidden=[4]", "model.sweeps=1", "data.batch_size=325"]
    quick = ["stages.finetune.max_steps=1", "gallery=false", "evaluate=[]"]
    choice = "select={model.depth: [1, 2], model.start: [pretrained]}"
    run = genlab.train(*words, *quick, f"folder={tmp_path}", choice)
    record = json.loads((run.path / "run.json").read_text())
    depth = record["selection"]["chosen"]["model.depth"]
    assert record["stages"] == [*(f"rbm{i + 1}" for i in range(depth)), "finetune"]
    assert list(record["losses"]) == record["stages"]
    assert record["parameters"] == sum(p.numel() for p in run.model.parameters())


def test_select_that_is_no_choice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected keys and lists"):
        genlab.train(*QUICK, f"folder={tmp_path}", "select={model.hidden: 3}")


def test_different_data_are_not_chosen_between(tmp_path):
    with pytest.raises(
        UsageError, match=r"between different data: digits \(17 levels\) .* and heart"
    ):
        genlab.train(*QUICK, "model.hidden=[3]", "select={data: [digits, heartbeat]}")


def test_other_data_than_the_run_s_are_not_chosen(tmp_path):
    """The run would have the record of its own data, and the weights of a model of others."""
    with pytest.raises(
        UsageError, match=r"between different data: digits \(17 levels\) .* and digits"
    ):
        genlab.train("model=made", "select={data:[digits]}", f"folder={tmp_path}")


def test_candidate_with_a_wrong_value_is_refused_before_training(tmp_path):
    with pytest.raises(UsageError, match=r"optimizer\.lr=fast"):
        genlab.train(*QUICK, f"folder={tmp_path}", "select={optimizer.lr: [1e-3, fast]}")
    assert not list(tmp_path.iterdir())


def test_values_may_be_words_lists_and_mappings(tmp_path):
    """A word that a command line would read as a number stays a word."""
    schedules = "{stages.fit.lr_schedule: [{5: 0.1, 10: 0.01}, linear]"
    words = [f"select={schedules}, model.hidden: [[4, 3]], model.activation: [relu, tanh]}}"]
    run = genlab.train(*QUICK, f"folder={tmp_path}", *words)
    tried = json.loads((run.path / "run.json").read_text())["selection"]["candidates"]
    assert [candidate["values"] for candidate in tried][:2] == [
        {
            "stages.fit.lr_schedule": {"5": 0.1, "10": 0.01},  # in JSON every key is text
            "model.hidden": [4, 3],
            "model.activation": activation,
        }
        for activation in ("relu", "tanh")
    ]
    assert len({candidate["validation"] for candidate in tried}) == 4


class Candidates:
    """Stands for training: what comes of each candidate, and how often it was asked for."""

    def __init__(self, folder: Path, outcomes: list) -> None:
        self.run, self.outcomes = RunDirectory(folder), outcomes
        self.asked: list[int] = []
        self.run.update(schema=1, status="running")
        self.run.config.write_text("")
        for number in range(1, len(outcomes) + 1):
            candidate = RunDirectory(folder / "candidates" / str(number))
            candidate.checkpoint("fit", "best").parent.mkdir(parents=True)
            candidate.curves.write_text("")

    def train(self, plan, folder: RunDirectory):
        number = int(folder.path.name)
        self.asked.append(number)
        outcome = self.outcomes[number - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return Validation("val/error", outcome) if isinstance(outcome, float) else outcome

    def choose(self, monkeypatch) -> None:
        monkeypatch.setattr("genlab.api.selection._adopt", lambda *_: None)
        train_the_best([({"k": i}, None) for i in range(len(self.outcomes))], self.run, self.train)

    @property
    def selection(self) -> dict:
        return json.loads(self.run.record.read_text())["selection"]


def test_one_that_diverges_stays_in_the_record_and_ends_nothing(tmp_path, monkeypatch):
    diverged = NonFinite("the loss is nan at step 12 of stage 'fit'", "try something else")
    chosen = Candidates(tmp_path, [0.5, diverged, 0.2, Validation("val/error", None), 0.3])
    chosen.choose(monkeypatch)
    assert chosen.selection["chosen"] == {"k": 2}
    assert [c["validation"] for c in chosen.selection["candidates"]] == [0.5, None, 0.2, None, 0.3]
    assert (
        chosen.selection["candidates"][1]["reason"] == "the loss is nan at step 12 of stage 'fit'"
    )
    assert chosen.selection["candidates"][3]["reason"] == "val/error was never finite"
    assert chosen.asked == [1, 2, 3, 4, 5, 3], "the chosen one gives the model its weights"


def test_what_is_known_is_not_trained_again(tmp_path, monkeypatch):
    diverged = NonFinite("the loss is nan", "try something else")
    chosen = Candidates(tmp_path, [0.5, diverged, KeyboardInterrupt(), 0.1])
    with pytest.raises(KeyboardInterrupt):
        chosen.choose(monkeypatch)
    assert chosen.selection["chosen"] is None
    assert len(chosen.selection["candidates"]) == 2
    chosen.outcomes[2], chosen.asked = 0.7, []
    chosen.choose(monkeypatch)
    assert chosen.asked == [3, 4, 4]
    assert [c["validation"] for c in chosen.selection["candidates"]] == [0.5, None, 0.7, 0.1]


@pytest.mark.parametrize(
    ("outcomes", "error", "says"),
    [
        ([NonFinite("the loss is nan", "x")] * 2, GenlabError, "finite value: the loss is nan"),
        ([None, 0.5], UsageError, "this one gives none"),
        ([0.5, Validation("val/nll", 3.0)], UsageError, "cannot compare val/error with val/nll"),
    ],
)
def test_no_choice_is_made_without_values_to_compare(tmp_path, monkeypatch, outcomes, error, says):
    with pytest.raises(error, match=says):
        Candidates(tmp_path, outcomes).choose(monkeypatch)


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        ([{"values": {}}], r"there is no selection\.candidates\.validation"),
        ([{"values": {}, "validation": "1"}], "validation is a str"),
        ({}, "selection.candidates is a dict"),
        ([{"values": {}, "validation": 1.0}] * 3, "3 candidates of 2"),
    ],
)
def test_a_record_of_other_candidates(tmp_path, candidates, says):
    words = [*QUICK, f"folder={tmp_path}", "select={model.hidden: [[3], [4]]}"]
    run = RunDirectory(genlab.train(*words).path)
    run.update(status="interrupted", selection={"of": 2, "chosen": None, "candidates": candidates})
    with pytest.raises(UsageError, match=says):
        genlab.train(*words, resume=str(run.path))


SELECT = ["select={model.name: [a, b, c], model.rate: [0.05, 1e30]}", "stages.decode.max_epochs=1"]


@pytest.mark.slow
def test_killed_in_the_middle_of_a_candidate_it_goes_on_there(tmp_path):
    """Every second candidate diverges."""
    train(tmp_path / "a", *SELECT)
    train(tmp_path / "b", *SELECT, kill="c: step 20 of decode")
    seen = json.loads((only_run(tmp_path / "b") / "run.json").read_text())["selection"]
    assert [c["validation"] is None for c in seen["candidates"]] == [False, True, False, True]
    train(tmp_path / "b", *SELECT, "--resume=auto", trace=tmp_path / "trace")
    lines = [line for line in (tmp_path / "trace").read_text().splitlines() if "before" in line]
    assert lines == [
        *("c: before decode", "c: before mean"),
        *("c: before encode", "c: before chain"),  # which diverges
    ]
    ours, theirs = (only_run(tmp_path / folder) for folder in "ab")
    records = [json.loads((run / "run.json").read_text())["selection"] for run in (ours, theirs)]
    assert records[0] == records[1]
    assert records[0]["chosen"] == {"model.name": "a", "model.rate": 0.05}
    assert len(records[0]["candidates"]) == 6
    assert curves(ours) == curves(theirs)


@pytest.mark.slow
def test_two_processes_score_the_candidate_that_was_trained_last(tmp_path):
    """None of them may take it for unfinished when it is the best, and train it once more."""
    rates = "select={optimizer.lr: [1e-6, 0.01]}"
    words = ["model=made", "model.hidden=[8]", "data=digits_binary", "stages.fit.max_steps=3"]
    options = ["optimizer=adam", "trainer=ddp_cpu", "trainer.threads=1", "evaluate=[test]"]
    command = [sys.executable, "-m", "genlab", "train", *words, *options, rates, "gallery=false"]
    done = subprocess.run(
        [*command, f"folder={tmp_path}"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((only_run(tmp_path) / "run.json").read_text())
    assert record["selection"]["chosen"] == {"optimizer.lr": 0.01}
    assert len(list(only_run(tmp_path).glob("scores/*.json"))) == 1


@pytest.mark.slow
def test_two_processes_leave_a_diverging_candidate_together(tmp_path):
    """Though only one of them has seen a loss that is not finite."""
    train(tmp_path, "select={model.poison: [true, false]}", "trainer=ddp_cpu")
    selection = json.loads((only_run(tmp_path) / "run.json").read_text())["selection"]
    assert selection["chosen"] == {"model.poison": False}
    assert selection["candidates"][0]["reason"] == "the loss is nan at step 50 of stage 'encode'"
