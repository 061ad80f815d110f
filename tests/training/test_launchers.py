"""Processes that others start: the same run as those that genlab starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genlab.contracts import UsageError
from genlab.launch.place import take_place
from tests.training.running import ROOT, WORDS, assert_same, only_run, train

TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m"]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


@pytest.fixture(scope="module")
def by_genlab(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("genlab")
    train(folder, "trainer=ddp_cpu")
    return only_run(folder)


@pytest.mark.slow
def test_torchrun(tmp_path, by_genlab):
    words = [*WORDS, f"folder={tmp_path}", "trainer=torchrun", "trainer.accelerator=cpu"]
    command = [sys.executable, *TORCHRUN, "genlab", "train", *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert_same(only_run(tmp_path), by_genlab)


@pytest.mark.slow
def test_slurm(tmp_path, by_genlab):
    """What srun tells two tasks on one node, without a srun."""
    words = [*WORDS, f"folder={tmp_path}", "trainer=slurm", "trainer.accelerator=cpu"]
    told = {
        "SLURM_JOB_ID": str(10_000 + os.getpid() % 10_000),
        "SLURM_JOB_NAME": "digits",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
    }
    tasks = [
        subprocess.Popen(
            [sys.executable, "-m", "genlab", "train", *words],
            env=environment(**told, SLURM_PROCID=str(task), SLURM_LOCALID=str(task)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for task in (0, 1)
    ]
    for task in tasks:
        _, error = task.communicate(timeout=300)
        assert task.returncode == 0, error
    assert_same(only_run(tmp_path), by_genlab)


def test_another_number_of_processes_than_the_trainer_is_for(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(UsageError, match="type trainer=torchrun"):
        take_place("genlab", 1)
    with pytest.raises(UsageError, match=r"torchrun started 2 processes, but .* is 3"):
        take_place("torchrun", 3)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UsageError, match=r"slurm started 4 processes, but .* is 8"):
        take_place("slurm", 8)
