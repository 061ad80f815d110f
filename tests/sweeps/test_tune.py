"""``genlab tune``: a study finds what a sweep of the same points finds, goes on, and ends trials early."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pytest
from optuna.trial import TrialState

from genlab.sweeps.bench import Bench
from genlab.sweeps.study import Chosen, Study
from tests.sweeps.conftest import QUICK, history, points, states, trials

LR = "optimizer.lr=tag(log, interval(1e-5, 1e-1))"
ADAM = [*QUICK, "optimizer=adam"]
NONE = ["--pruner", "none"]


def test_the_best_of_all_is_found(here, genlab):
    """A sweep of the same points knows which that is."""
    words = [*ADAM, "optimizer.lr=1e-4,1e-3,1e-2,1e-1", "seed=3,5"]
    assert genlab("tune", *words, "--trials", "24", "-o", "t", *NONE) == 0
    assert genlab("sweep", *words, "-o", "s") == 0
    lowest = {}
    for row in points("s"):
        rows = (here / "s" / row["run"] / "metrics.csv").read_text().splitlines()[1:]
        lowest[tuple(row["words"])] = min(float(line.split(",")[4]) for line in rows)
    best = min(lowest, key=lambda words: lowest[words])
    assert len(lowest) == 8
    assert f"best: trial {1 + trial_of(best)}, val/nll" in genlab_out(genlab, "t")
    for row in points("t"):
        assert row["value"] == lowest[tuple(row["words"])], "as long as no trial is ended early"


def trial_of(words: tuple[str, ...]) -> int:
    return next(t["number"] - 1 for t in points("t") if tuple(t["words"]) == words)


def genlab_out(genlab, bench: str) -> str:
    """What a finished study says once more."""
    assert genlab("tune", "--resume", bench) == 0
    return genlab.out


def test_what_is_printed(here, genlab):
    assert genlab("tune", *ADAM, LR, "seed=1,2", "--trials", "4", "-o", "t") == 0
    lines = genlab.out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [
        f"trial {n}/4 completed" for n in (1, 2, 3, 4)
    ]
    best = min(points("t"), key=lambda row: row["value"])
    assert lines[4].startswith(f"best: trial {best['number']}, val/nll {best['value']:.6g}: ")
    assert lines[5] == f"its run, without a test score: t/{best['run']}"
    assert shlex.split(lines[6]) == ["genlab", "train", *best["words"]]
    assert len(lines) == 7
    assert genlab.error == ""


def test_trials_see_validation_data_alone(here, genlab):
    genlab("tune", *ADAM, LR, "--trials", "1", "-o", "t")
    run = json.loads((here / "t" / points("t")[0]["run"] / "run.json").read_text())
    assert run["overrides"][-3:] == ["evaluate=[]", "gallery=false", "folder=t/runs"]
    for word in ("evaluate=[test]", "gallery=true"):
        assert genlab("tune", *ADAM, LR, word) == 2
        assert "trials are validated, neither scored nor shown" in genlab.error


def test_values_in_the_study_are_those_of_runs(here, genlab):
    genlab("tune", *ADAM, LR, "--trials", "3", "-o", "t")
    for trial, row in zip(trials("t"), points("t"), strict=True):
        lr = trial.params["optimizer.lr"]
        assert f"optimizer.lr={lr!r}" in row["words"]
        expected = [(math.log10(lr) + 2) ** 2 + more for more in (1, 1 / 2, 1 / 3 + 1 / 2)]
        assert [trial.intermediate_values[step] for step in (1, 2, 3)] == pytest.approx(expected)
        assert trial.value == row["value"] == pytest.approx(expected[1])


@pytest.mark.parametrize(("sampler", "pruner"), [("tpe", "median"), ("random", "hyperband")])
def test_a_seed_makes_a_study_repeatable(here, genlab, sampler, pruner):
    words = ["tune", *ADAM, LR, "seed=1,2,3", "--trials", "11"]
    words += ["--sampler", sampler, "--pruner", pruner]
    assert genlab(*words, "--seed", "7", "-o", "a") == 0
    assert genlab(*words, "--seed", "7", "-o", "b") == 0
    assert genlab(*words, "--trials", "1", "--seed", "8", "-o", "c") == 0
    assert history("a") == history("b")
    drawn = [trial.params["optimizer.lr"] for trial in [*trials("a"), *trials("c")]]
    assert len(set(drawn)) == 12


def test_more_trials_are_those_of_a_longer_study(here, genlab):
    """What the sampler draws does not begin anew, and pruning is as it would have been."""
    words = ["tune", *ADAM, LR, "seed=1,2,3"]
    assert genlab(*words, "--trials", "9", "-o", "whole") == 0
    assert genlab(*words, "--trials", "4", "-o", "parts") == 0
    assert genlab("tune", "--resume", "parts", "--trials", "9") == 0
    assert history("parts") == history("whole")
    assert "pruned" in states("whole")


def test_a_bad_trial_is_ended_early(here, genlab, monkeypatch):
    """Five that are good, then some that are bad from the start: these see one validation of a hundred."""
    monkeypatch.setenv("FAKE_SECONDS", "0.02")
    words = ["stages.fit.max_epochs=100", "optimizer=adam", "optimizer.lr=choice(1e-2, 1e-8)"]
    assert genlab("tune", *words, "seed=range(0, 5)", "--trials", "14", "-o", "t") == 0
    pruned = [row for row in points("t") if row["status"] == "pruned" and "as" not in row]
    assert pruned
    for row in pruned:
        assert "optimizer.lr=1e-08" in row["words"]
        assert row["validations"] == 1
        assert f"trial {row['number']}/14 pruned" in genlab.out
        run = here / "t" / row["run"]
        assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
        assert len((run / "metrics.csv").read_text().splitlines()) < 100
        assert trials("t")[row["number"] - 1].state == TrialState.PRUNED


def test_a_failed_trial_does_not_end_the_study(here, genlab):
    assert genlab("tune", *ADAM, "seed=choice(13, 15, 1, 2)", "--trials", "12", "-o", "t") == 0
    for row, trial in zip(points("t"), trials("t"), strict=True):
        wrong = row["words"][-1] in ("seed=13", "seed=15")
        assert row["status"] == ("failed" if wrong else "completed")
        assert trial.state == (TrialState.FAIL if wrong else TrialState.COMPLETE)
    errors = {row["error"] for row in points("t")}
    assert errors == {"", "the loss is nan", "val/nll was never finite"}
    assert "failed: seed=13: the loss is nan; its log is t/logs/" in genlab.error


def test_trials_with_the_same_settings_are_trained_once(here, genlab):
    assert genlab("tune", *ADAM, "seed=1,2,3", "--trials", "9", "--jobs", "2", "-o", "t") == 0
    assert len(list((here / "t" / "runs").iterdir())) <= 3
    for row in points("t"):
        assert row["value"] == next(r for r in points("t") if r["words"] == row["words"])["value"]
    assert len(trials("t")) == 9
    assert "completed as trial " in genlab.out


def test_a_usage_error_ends_the_study(here, genlab):
    assert genlab("tune", *ADAM, "seed=14,1", "--trials", "9", "-o", "t") == 2
    assert "seed=14" in genlab.error
    assert "seed=14: this is no seed" in genlab.error.splitlines()[-1]
    assert len(points("t")) < 9


def test_a_model_that_validates_nothing_is_refused(here, genlab):
    assert genlab("tune", *ADAM, "seed=16,1", "-o", "t") == 2
    assert "Fake validates nothing in its last stage" in genlab.error
    assert not list(here.iterdir())


def test_different_data_are_not_compared(here, genlab):
    assert genlab("tune", *ADAM, "data=digits,digits_binary", "-o", "t") == 2
    assert "compared on different data: digits and digits_binary" in genlab.error
    assert not list(here.iterdir())


def test_what_this_machine_lacks_is_said_before_anything_is_written(here, genlab):
    for verb in ("tune", "sweep"):
        assert genlab(verb, *ADAM, "seed=1,18", "-o", "t") == 2
        assert "there is no such GPU" in genlab.error
        assert not list(here.iterdir())


def test_different_values_are_not_compared(here, genlab):
    assert genlab("tune", *ADAM, "seed=1,17", "--trials", "9", "-o", "t") == 2
    assert "tune cannot compare val/" in genlab.error


def test_a_trial_that_was_not_drawn_yet_is_drawn_as_it_would_have_been(here, genlab):
    """A kill may fall between the two."""
    words = ["tune", *ADAM, LR, "seed=1,2,3"]
    assert genlab(*words, "--trials", "3", "-o", "whole") == 0
    assert genlab(*words, "--trials", "1", "-o", "t") == 0
    Study(Bench(Path("t"), "tune"), Chosen(3, "tpe", "median", 0)).ask()
    assert genlab("tune", "--resume", "t", "--trials", "3") == 0
    assert history("t") == history("whole")


def test_nothing_has_a_value(here, genlab):
    assert genlab("tune", *ADAM, "seed=13,15", "--trials", "3", "-o", "t") == 1
    assert "no trial has a value yet" in genlab.error


def test_several_at_a_time(here, genlab, monkeypatch):
    monkeypatch.setenv("FAKE_SECONDS", "0.1")
    assert genlab("tune", *ADAM, LR, "--trials", "6", "--jobs", "3", "-o", "t", *NONE) == 0
    assert states("t") == ["completed"] * 6
    assert [t.state for t in trials("t")] == [TrialState.COMPLETE] * 6


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([LR, "--trials", "0"], "--trials 0 must be at least 1"),
        ([LR, "--jobs", "0"], "--jobs 0 must be at least 1"),
        ([LR, "--seed", "-1"], "--seed -1 must be at least 0"),
        (["seed=1"], "nothing to search"),
        ([], "name what to train and to search"),
        (["optimizer.lr=interval(1"], "cannot be read"),
        (["modl.hidden=1,2"], "did you mean 'model'?"),
        (["model=made,drw"], "there is no such model"),
        (["--resume", "nowhere"], "nowhere is no directory of genlab tune"),
    ],
)
def test_bad_input(here, genlab, words, says):
    assert genlab("tune", "optimizer=adam", *words) == 2 if words else genlab("tune") == 2
    assert says in genlab.error
    assert len(genlab.error.splitlines()) == 1
    assert not list(here.iterdir()), "nothing is written"


def test_resuming_in_another_way_is_refused(here, genlab):
    genlab("tune", *ADAM, LR, "--trials", "1", "-o", "t")
    assert genlab("tune", *ADAM, "optimizer.lr=1,2", "--resume", "t") == 2
    assert "t was begun with 'optimizer.lr=tag(log, interval" in genlab.error
    assert genlab("tune", "--resume", "t", "--seed", "3") == 2
    assert "t was begun with --seed 0: leave --seed out" in genlab.error
    assert genlab("tune", "--resume", "t", "--pruner", "none") == 2
    assert genlab("sweep", "--resume", "t") == 2
    assert "t is no directory of genlab sweep" in genlab.error
    (Path("t") / "study.db").write_bytes(b"no database")
    assert genlab("tune", "--resume", "t", "--trials", "2") == 2
    assert "t/study.db is no study" in genlab.error
