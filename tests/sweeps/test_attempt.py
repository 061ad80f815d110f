"""What the process of a point is told, and finds around it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genlab.config import compose
from genlab.sweeps.attempt import Work
from genlab.sweeps.bench import Bench
from genlab.sweeps.environment import share, surroundings
from genlab.sweeps.points import Point


def test_the_command_of_a_point():
    work = Work(Bench(Path("s"), "sweep"), ("my_models.",), ("gallery=false",))
    assert work.command(Point(1, ("model=made", "seed=1"))) == [
        *(sys.executable, "-m", "genlab", "train", "model=made", "seed=1", "gallery=false"),
        *("folder=s/runs", "--resume", "auto", "--allow-target=my_models."),
    ]


@pytest.mark.parametrize("name", ["plain", "a b", "a=b", "x,y", "1e3", "ü", "it's", "[1"])
def test_runs_lie_in_directories_of_any_name(tmp_path, name):
    bench = Bench(tmp_path / name, "sweep")
    word = next(w for w in Work(bench).command(Point(1, ())) if w.startswith("folder="))
    assert compose([word]).resolved["folder"] == str(bench.runs)


def test_processes_look_for_modules_where_their_parent_does(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setattr(sys, "path", ["/somewhere/bin", *sys.path])
    assert surroundings()["PYTHONSAFEPATH"] == "1"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "PYTHONSAFEPATH" not in surroundings()


def test_a_training_is_no_rank_of_what_its_parent_was_launched_as(monkeypatch):
    """Two processes of trainer=ddp would both lead, if they saw the number of a job's task."""
    for name in ("SLURM_PROCID", "SLURM_NTASKS", "RANK", "GENLAB_RUN_DIR"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    found = surroundings()
    assert found["SLURM_JOB_ID"] == "7"
    assert found.keys().isdisjoint(("SLURM_PROCID", "SLURM_NTASKS", "RANK", "GENLAB_RUN_DIR"))


def test_threads_that_somebody_chose_stay(monkeypatch):
    monkeypatch.setattr("genlab.runs.cpus", lambda: 12)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert surroundings(share(2, 1))["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert surroundings(share(2, 3))["OMP_NUM_THREADS"] == "2"
    assert surroundings(share(20, 1))["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in surroundings(share(1, 3))
