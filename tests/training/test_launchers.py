"""Processes that others start: the same run as those that genlab starts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from genlab.components import build
from genlab.config import compose
from genlab.contracts import GenlabError, UsageError
from genlab.launch.children import free_port
from genlab.launch.place import LAUNCHERS
from genlab.rank import VARIABLE, rank
from genlab.training import TrainerSettings
from tests.cli.test_bad_input import refused
from tests.stress.comparison import differences
from tests.training.running import ROOT, WORDS, assert_same, only_run, train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
MADE = ("model=made", "model.hidden=[16]", "data=digits_binary", "data.batch_size=130")
SHORT = ("stages.fit.max_steps=5", "trainer.threads=1", "evaluate=[test]", "gallery=false")


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


@pytest.fixture(scope="module")
def by_genlab(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("genlab")
    train(folder, "trainer=ddp_cpu")
    return only_run(folder)


def genlab(trainer: str, folder: Path, words: Sequence[str]) -> list[str]:
    """Of ``python -m``: a training on the CPU."""
    to = [f"folder={folder}", f"trainer={trainer}", "trainer.accelerator=cpu"]
    return ["genlab", "train", *words, *to]


def finish(*started: subprocess.Popen[str]) -> None:
    """Wait for processes of one run, each of which must end well, and leave none behind."""
    try:
        for process in started:
            _, error = process.communicate(timeout=300)
            assert process.returncode == 0, error
    finally:
        for process in started:
            process.kill()


def start(command: Sequence[str], **told: str) -> subprocess.Popen[str]:
    """A process that writes into pipes. told: more variables of its environment."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(**told), stdout=pipe, stderr=pipe, text=True)


def by_srun(task: int, words: Sequence[str], **told: str) -> subprocess.Popen[str]:
    """A task, told what srun tells it, without a srun."""
    job = {"SLURM_JOB_ID": str(10_000 + os.getpid() % 10_000), "SLURM_JOB_NAME": "digits"}
    places = {"SLURM_NTASKS": "2", "SLURM_PROCID": str(task), "SLURM_NODELIST": "localhost"}
    return start([sys.executable, "-m", *words], **job, **places, **told)


@pytest.mark.slow
def test_torchrun(tmp_path, by_genlab):
    options = ["--nproc-per-node=2", "--standalone", "-m"]
    finish(start([*TORCHRUN, *options, *genlab("torchrun", tmp_path, WORDS)]))
    assert_same(only_run(tmp_path), by_genlab)


@pytest.mark.slow
def test_torchrun_shards_a_model(tmp_path):
    options = ["--nproc-per-node=2", "--standalone", "-m"]
    words = genlab("torchrun", tmp_path, [*MADE, *SHORT, "trainer.strategy=fsdp"])
    finish(start([*TORCHRUN, *options, *words]))
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["world_size"] == 2


@pytest.mark.slow
def test_slurm(tmp_path, by_genlab):
    words = genlab("slurm", tmp_path, WORDS)
    node = {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    finish(*(by_srun(task, words, SLURM_LOCALID=str(task), **node) for task in (0, 1)))
    assert_same(only_run(tmp_path), by_genlab)


# --------------------------------------------------------------- two machines, whose parts this one plays


@pytest.fixture(scope="module")
def made_by_genlab(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    finish(start([sys.executable, "-m", *genlab("ddp_cpu", folder, [*MADE, *SHORT])]))
    return only_run(folder)


def assert_one_run(folder: Path, other: Path) -> None:
    """One directory, in which nothing differs from the run of as many processes elsewhere."""
    assert (other / "checkpoints" / "fit" / "last.ckpt").is_file()
    assert list(differences(only_run(folder), other)) == []


@pytest.mark.slow
def test_torchrun_on_two_nodes(tmp_path, made_by_genlab):
    """Two agents, which meet at a port of this machine; each starts one process."""
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}"]
    command = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", *meeting, "-m"]
    words = genlab("torchrun", tmp_path, [*MADE, *SHORT])
    finish(*(start([*command, *words]) for _ in range(2)))
    assert_one_run(tmp_path, made_by_genlab)


@pytest.mark.slow
def test_slurm_on_two_nodes(tmp_path, made_by_genlab):
    """``srun --nodes 2 --ntasks 2``: how many tasks are on each node is not said."""
    words = genlab("slurm", tmp_path, [*MADE, *SHORT])
    node = {"SLURM_NNODES": "2", "SLURM_LOCALID": "0"}
    finish(*(by_srun(task, words, SLURM_NODEID=str(task), **node) for task in (0, 1)))
    assert_one_run(tmp_path, made_by_genlab)


# ------------------------------------------------------------------------------ what a launcher has said


@pytest.fixture
def told(monkeypatch):
    """Variables of a launcher; those of none besides."""
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "TORCHELASTIC_")):
            monkeypatch.delenv(name)
    for launcher in LAUNCHERS.values():
        for name in (launcher.processes, launcher.rank, *launcher.on_node):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, "0")  # so that what a process learns is forgotten

    def tell(prefix: str, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(prefix + name, value)

    return tell


def of_srun(tell, **variables: str) -> TrainerSettings:
    """What follows, for trainer=slurm, from what is told to the task of rank 5."""
    tell("SLURM_", PROCID="5", LOCALID="1", NODEID="1", **variables)
    return settings("slurm")


def settings(trainer: str, *words: str) -> TrainerSettings:
    trained = compose([*MADE, f"trainer={trainer}", *words]).resolved["trainer"]
    return build(trained, where="trainer")


@pytest.mark.parametrize("said", [{}, {"TASKS_PER_NODE": "4(x2)"}, {"NTASKS_PER_NODE": "4"}])
def test_tasks_on_each_node(told, said):
    found = of_srun(told, NTASKS="8", NNODES="2", **said)
    assert found.processes == 8
    made = found.trainer([])
    assert (made.num_nodes, made.num_devices, made.world_size) == (2, 4, 8)
    assert (made.global_rank, made.local_rank, made.node_rank, rank()) == (5, 1, 1, 5)


@pytest.mark.parametrize("said", [{}, {"NTASKS_PER_NODE": "4"}, {"TASKS_PER_NODE": "4,3"}])
def test_seven_tasks_on_two_nodes(told, said):
    with pytest.raises(UsageError, match=r"started 7 processes on 2 nodes.* --ntasks-per-node$"):
        of_srun(told, NTASKS="7", NNODES="2", **said).join()


def test_fewer_tasks_than_nodes(told):
    with pytest.raises(UsageError, match=r"started 1 processes on 2 nodes.* --ntasks-per-node$"):
        of_srun(told, NTASKS="1", NNODES="2").join()


@pytest.mark.parametrize("port", ["abc", "0", "99999"])
def test_a_port_that_is_none(told, port):
    told("", WORLD_SIZE="1", RANK="0", LOCAL_RANK="0", MASTER_PORT=port)
    with pytest.raises(UsageError, match=rf"MASTER_PORT={port}: .* number from 1 to 65535"):
        settings("torchrun").join()


def test_a_port_that_is_taken(told, monkeypatch):
    with socket.create_server(("localhost", 0)) as taken:
        port = str(taken.getsockname()[1])
        place = {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
        told("", WORLD_SIZE="2", RANK="0", LOCAL_RANK="0", LOCAL_WORLD_SIZE="2", **place)
        with pytest.raises(GenlabError, match=rf"cannot meet at localhost:{port}: .*in use"):
            settings("torchrun").join()


def test_slurm_may_fill_one_node_first(told):
    with pytest.raises(UsageError, match=r"as many on each: say how many with --ntasks-per-node$"):
        of_srun(told, NTASKS="8", NNODES="2", TASKS_PER_NODE="7,1").join()


def test_another_number_of_processes_on_each_machine(told):
    told("", WORLD_SIZE="3", RANK="0", LOCAL_RANK="0", LOCAL_WORLD_SIZE="1", GROUP_WORLD_SIZE="2")
    with pytest.raises(
        UsageError, match=r"torchrun started 3 .* say how many with --nproc-per-node"
    ):
        settings("torchrun").join()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"NTASKS": "abc"}, "SLURM_NTASKS=abc: a launcher gives a whole number from 1 on"),
        ({"NNODES": "0"}, "SLURM_NNODES=0: a launcher gives a whole number from 1 on"),
        ({"NTASKS_PER_NODE": "2,1"}, "SLURM_NTASKS_PER_NODE=2,1: a launcher gives"),
        ({"NTASKS": "4"}, "SLURM_PROCID=5: slurm started 4 processes, from 0 on"),
    ],
)
def test_a_launcher_that_says_nonsense(told, said, says):
    with pytest.raises(UsageError, match=says):
        of_srun(told, **({"NTASKS": "8", "NNODES": "1"} | said)).join()


def test_what_is_one_process_is_not_for_torchrun(monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    line = refused(capsys, "sweep", "model=made", "seed=1,2")
    assert line == "genlab: genlab sweep is one process, and torchrun started this: type it without"


@pytest.mark.parametrize(
    ("trainer", "command"),
    [
        ("torchrun", "torchrun --nproc-per-node 2 -m genlab train trainer=torchrun"),
        ("slurm", "srun --ntasks-per-node 2 genlab train trainer=slurm"),
    ],
)
def test_a_launcher_that_did_not_start_this_process(tmp_path, told, capsys, trainer, command):
    """As in a job of SLURM without srun, which has the numbers of the job but no place in it."""
    told("SLURM_", NTASKS="7", NNODES="2")
    says = refused(capsys, "train", *genlab(trainer, tmp_path, MADE)[2:])
    assert f"did not start this one: type {command} …" in says
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_other_processes_than_the_trainer_is_for(told):
    told("", WORLD_SIZE="2", RANK="1", LOCAL_RANK="1", TORCHELASTIC_RUN_ID="none")
    with pytest.raises(UsageError, match="type trainer=torchrun"):
        settings("cpu").join()
    with pytest.raises(UsageError, match=r"torchrun started 2 × 1 processes, but .* is 3 × 1"):
        settings("torchrun", "trainer.devices=3").join()
    of_srun(told, NTASKS="8", NNODES="2")
    with pytest.raises(UsageError, match=r"slurm started 4 × 2 processes, but .* is 8 × 1: leave"):
        settings("slurm", "trainer.devices=8", "trainer.num_nodes=1").join()
