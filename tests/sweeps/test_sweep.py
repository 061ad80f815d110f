"""``genlab sweep``: every point is trained once, whatever became of the others, and it is written down."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genlab.api.checking import checked
from genlab.sweeps.bench import Bench
from tests.sweeps.conftest import QUICK, points, states


def sessions(bench: str, row: dict) -> int:
    return len(json.loads((Path(bench) / row["run"] / "run.json").read_text())["sessions"])


def test_every_point_is_a_run(here, genlab):
    assert genlab("sweep", *QUICK, "seed=1,2", "optimizer=adam,sgd", "-o", "s") == 0
    found = points("s")
    assert [row["words"][1:] for row in found] == [
        [f"seed={seed}", f"optimizer={optimizer}"]
        for seed in (1, 2)
        for optimizer in ("adam", "sgd")
    ]
    for row in found:
        run = json.loads((here / "s" / row["run"] / "run.json").read_text())
        assert run["overrides"] == [*row["words"], "folder=s/runs"]
        assert run["fingerprint"] == row["fingerprint"]
        assert (here / "s" / "logs" / f"{row['number']:03d}.txt").is_file()
    assert states("s") == ["completed"] * 4
    assert "point 4/4 completed: seed=2 optimizer=sgd\n" in genlab.out
    assert genlab.out.endswith("genlab compare s/runs/*\n")
    assert genlab.error == ""


def test_one_that_fails_does_not_end_the_others(here, genlab):
    assert genlab("sweep", *QUICK, "seed=1,13,2", "-o", "s") == 1
    assert states("s") == ["completed", "failed", "completed"]
    failed = points("s")[1]
    assert failed["error"] == "the loss is nan"
    assert failed["exit_code"] == 1
    first, second = genlab.error.splitlines()
    assert first == "genlab: point 2/3 failed: seed=13: the loss is nan; its log is s/logs/002.txt"
    assert "1 of 3 points are not completed: genlab sweep --resume s goes on" in second


def test_resume_trains_what_is_not_completed_alone(here, genlab):
    genlab("sweep", *QUICK, "seed=1,13,2", "-o", "s")
    assert genlab("sweep", "--resume", "s") == 1
    assert "2 of 3 points are completed" in genlab.out
    assert [sessions("s", row) for row in points("s")] == [1, 2, 1]
    assert len(list((here / "s" / "runs").iterdir())) == 3


def test_resume_of_what_is_completed_does_nothing(here, genlab):
    genlab("sweep", *QUICK, "seed=1,2", "-o", "s")
    assert genlab("sweep", *QUICK, "seed=1,2", "--resume", "s") == 0
    assert [sessions("s", row) for row in points("s")] == [1, 1]


def test_other_words_are_refused(here, genlab):
    genlab("sweep", *QUICK, "seed=1,2", "-o", "s")
    assert genlab("sweep", *QUICK, "seed=1,2,3", "--resume", "s") == 2
    assert genlab.error == (
        "genlab: s was begun with seed=1,2 and you gave seed=1,2,3: leave the words out to go on with it\n"
    )
    assert genlab("sweep", "seed=1,2", *QUICK, "--resume", "s") == 2
    assert f"you gave seed=1,2 {QUICK[0]}" in genlab.error


def test_the_same_settings_are_trained_once(here, genlab):
    assert genlab("sweep", *QUICK, "seed=1,2,1", "-o", "s") == 0
    assert "points 1 (seed=1) and 3 (seed=1) have the same settings: trained once" in genlab.out
    assert [row["words"][-1] for row in points("s")] == ["seed=1", "seed=2"]


def test_what_decides_no_weights_makes_no_points(here, genlab):
    assert genlab("sweep", *QUICK, "likelihood=exact,window", "-o", "s") == 2
    assert "would have the same weights" in genlab.error
    assert not (here / "s").exists()


@pytest.mark.parametrize("jobs", [None, 2])
def test_threads_are_shared(here, genlab, monkeypatch, jobs):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("genlab.runs.cpus", lambda: 8)
    some = [] if jobs is None else ["--jobs", str(jobs)]
    assert genlab("sweep", *QUICK, "seed=1,2,3", "-o", "s", *some) == 0
    runs = [json.loads((here / "s" / row["run"] / "run.json").read_text()) for row in points("s")]
    assert {run["omp"] for run in runs} == {None if jobs is None else "4"}


def test_several_at_a_time(here, genlab, monkeypatch):
    """Two that wait for each other's run would never end one after the other."""
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    assert genlab("sweep", *QUICK, "seed=1,2,13", "-o", "s", "--jobs", "3") == 1
    assert states("s") == ["completed", "completed", "failed"]
    begun = [json.loads(p.read_text())["sessions"][0] for p in here.glob("s/runs/*/run.json")]
    assert len({session["pid"] for session in begun}) == 3


def test_a_second_one_on_the_same_directory_is_refused(here, genlab):
    genlab("sweep", *QUICK, "seed=1,13", "-o", "s")
    with Bench(Path("s"), "sweep").lock():
        assert genlab("sweep", "--resume", "s") == 2
    assert "s is being worked on by another process" in genlab.error


def test_a_point_that_is_still_being_trained_is_waited_for(here, genlab, monkeypatch):
    """By a process whose parent was killed: it holds the log."""
    import threading

    from genlab.sweeps.bench import hold

    genlab("sweep", *QUICK, "seed=1,13", "-o", "s")
    held = hold(Path("s/logs/002.txt"))
    assert held is not None
    before = points("s")[1]
    timer = threading.Timer(1.0, held.close)
    timer.start()
    assert genlab("sweep", "--resume", "s") == 1
    assert not timer.is_alive()
    assert sessions("s", before) == 2


def test_directories_that_are_no_sweep(here, genlab):
    assert genlab("sweep", "seed=1", "-o", "${x}") == 2
    assert "-o ${x}: ${ would be read as a reference" in genlab.error
    (here / "full").mkdir()
    (here / "full" / "file").touch()
    assert genlab("sweep", "seed=1", "-o", "full") == 2
    assert "there is something in it already" in genlab.error
    assert genlab("sweep", "--resume", "full") == 2
    assert "full is no directory of genlab sweep: it has no sweep.json" in genlab.error
    (here / "full" / "sweep.json").write_text("{")
    assert genlab("sweep", "--resume", "full") == 2
    assert "is not JSON" in genlab.error
    (here / "full" / "sweep.json").write_text('{"schema": 2}')
    assert genlab("sweep", "--resume", "full") == 2
    assert "no record of schema 1" in genlab.error
    assert genlab("sweep", "seed=1", "-o", "full") == 2
    assert "type genlab sweep --resume full" in genlab.error


def test_resume_trains_what_is_gone_once_more(here, genlab):
    genlab("sweep", *QUICK, "seed=1,2", "-o", "s")
    shutil.rmtree(here / "s" / points("s")[0]["run"])
    assert genlab("sweep", "--resume", "s") == 0
    assert "1 of 2 points are completed" in genlab.out
    assert [sessions("s", row) for row in points("s")] == [1, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"words": None}, "words is a NoneType"),
        ({"points": [{}]}, "there is no points.number"),
        ({"points": [{"number": "1"}]}, "points.number is a str"),
        ({"points": {}}, "points is a dict"),
    ],
)
def test_a_record_that_genlab_does_not_write(here, genlab, change, says):
    genlab("sweep", *QUICK, "seed=1", "-o", "s")
    path = here / "s" / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert genlab("sweep", "--resume", "s") == 2
    assert genlab.error == f"genlab: s/sweep.json is not what genlab writes: {says}\n"


def test_a_point_has_processes_of_its_own():
    """Checked by the process that checks points, which is not replaced here."""
    said = checked(["trainer=slurm", "model=made"], set())
    assert said["code"] == 2
    assert said["error"].startswith("trainer=slurm: a point or a trial is a process of its own")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed=1", "--jobs", "0"], "--jobs 0 must be at least 1"),
        (["seed=1", "--jobs", "2", "--launcher", "basic"], "type --launcher joblib"),
        (["seed=1", "--set", "a=1"], "add --launcher submitit"),
        (["seed=1", "--launcher", "submitit", "--set", "a"], "expected key=value"),
        (["seed=1", "--launcher", "submitit", "--set", "nodes=2"], "one process on one node"),
        (["seed=1,2", "modl=made"], "did you mean 'model'?"),
        (["model=made,drw"], "point 2 of 2 (model=drw): model=drw: there is no such model"),
        ([], "name what to train"),
    ],
)
def test_bad_input(here, genlab, words, says):
    assert genlab("sweep", *words) == 2
    assert says in genlab.error
    assert len(genlab.error.splitlines()) == 1
    assert not list(here.iterdir()), "nothing is written"


def test_missing_extras(here, genlab, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "joblib", None)
    assert genlab("sweep", "seed=1,2", "--jobs", "2") == 2
    assert "--launcher joblib needs joblib: pip install 'genlab[sweep]'" in genlab.error
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert genlab("tune", "seed=1,2") == 2
    assert "genlab tune needs optuna: pip install 'genlab[tune]'" in genlab.error
    assert not list(here.iterdir())
