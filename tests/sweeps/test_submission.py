"""Points as jobs, of submitit's local cluster: what a job does does not depend on which cluster runs it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from genlab.sweeps.attempt import Work
from genlab.sweeps.bench import Bench
from genlab.sweeps.points import Point
from genlab.sweeps.submission import Job, executor_of, options_of
from tests.sweeps import fakes
from tests.sweeps.conftest import QUICK, points, states

LOCAL = ["--launcher", "submitit", "--set", "cluster=local"]


class FakeJob(Job):
    """On the node, fakes are to be installed anew."""

    def __call__(self, point):
        fakes.install()
        return super().__call__(point)


@pytest.fixture
def cluster(here, monkeypatch) -> None:
    monkeypatch.setattr("genlab.sweeps.submission.Job", FakeJob)


def test_points_are_jobs(cluster, here, genlab):
    assert genlab("sweep", *QUICK, "seed=1,13,2", "-o", "s", *LOCAL, "--jobs", "2") == 1
    assert states("s") == ["completed", "failed", "completed"]
    assert points("s")[1]["error"] == "the loss is nan"
    assert len(list(here.glob("s/submitit/*_submitted.pkl"))) == 3
    assert "point 2/3 failed: seed=13: the loss is nan; its log is s/logs/002.txt" in genlab.error


def test_where_there_is_no_cluster(here, genlab, monkeypatch):
    """submitit would train here, without a word."""
    monkeypatch.setenv("PATH", "")
    assert genlab("sweep", "seed=1", "--launcher", "submitit") == 2
    assert "there is no SLURM here (no srun)" in genlab.error
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("cluster=moon", "doesn't know any executor named moon"),
        ("colour=red", "submitit refuses this"),
        ("timeout_min=long", 'Parameter "timeout_min" expected type'),
        ("gpus_per_node=1,2", "a job is one process on one node"),
    ],
)
def test_options_that_submitit_refuses(here, genlab, word, says):
    assert genlab("sweep", "seed=1", "--launcher", "submitit", "--set", word) == 2
    assert says in genlab.error
    assert len(genlab.error.splitlines()) == 1
    assert not list(here.iterdir())


def test_options_reach_the_cluster(here):
    options = options_of(["timeout_min=90", "slurm_partition=gpu", "mem_gb=4"])
    assert options == {"timeout_min": 90, "slurm_partition": "gpu", "mem_gb": 4}
    executor = executor_of(here, {"cluster": "local", "timeout_min": 90})
    assert executor._executor.parameters["timeout_min"] == 90


def test_a_job_whose_time_is_over_ends_its_process_and_is_queued_again(here, monkeypatch):
    """submitit calls ``checkpoint`` from a signal handler, while the job waits."""
    monkeypatch.setenv("FAKE_SECONDS", "0.2")
    bench = Bench(here, "sweep")
    words = ("stages.fit.max_epochs=9", "seed=1")
    point = Point(1, words, next(fakes.answers([Point(1, words)]))["fingerprint"])
    job, ended = Job(Work(bench)), []
    thread = threading.Thread(target=lambda: ended.append(job(point)))
    thread.start()
    while not list(Path(bench.runs).glob("*/metrics.csv")):
        time.sleep(0.05)
    again = job.checkpoint(point)
    thread.join()
    assert ended[0].status == "interrupted"
    run = bench.run(point.fingerprint)
    assert run is not None
    assert run.read()["status"] == "interrupted"
    assert again.function(*again.args).status == "completed"
    assert len(run.read()["sessions"]) == 2
