"""The place of a process that something else has started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from genlab.errors import UsageError
from genlab.rank import VARIABLE


class Layout(NamedTuple):
    """How many processes are on each node, and on how many nodes."""

    per_node: int
    nodes: int


@dataclass(frozen=True)
class Launcher:
    """The variables in which a launcher tells a process its place, and what is typed to start some.

    per_node: a variable that may be missing. listed: one that lists the nodes' processes where they
    differ, as ``7,1``. option: which says how many there are on each node.
    """

    processes: str
    rank: str
    on_node: tuple[str, ...]
    nodes: str
    per_node: str
    listed: str
    option: str
    command: str

    @property
    def started(self) -> bool:
        """Whether it started this process."""
        return all(name in os.environ for name in (self.processes, self.rank, *self.on_node))


LAUNCHERS = {
    "torchrun": Launcher(
        processes="WORLD_SIZE",
        rank="RANK",
        on_node=("LOCAL_RANK",),
        nodes="GROUP_WORLD_SIZE",
        per_node="LOCAL_WORLD_SIZE",
        listed="",
        option="--nproc-per-node",
        command="torchrun --nproc-per-node 2 -m genlab train trainer=torchrun …",
    ),
    "slurm": Launcher(
        processes="SLURM_NTASKS",
        rank="SLURM_PROCID",
        on_node=("SLURM_LOCALID", "SLURM_NODEID"),
        nodes="SLURM_NNODES",
        per_node="SLURM_NTASKS_PER_NODE",
        listed="SLURM_TASKS_PER_NODE",
        option="--ntasks-per-node",
        command="srun --ntasks-per-node 2 genlab train trainer=slurm …",
    ),
}


def layout(launcher: str) -> Layout:
    """Where a launcher started processes: one on one node where it is genlab, or did not start this one.

    Raises UsageError where the nodes have different numbers of processes.
    """
    by = LAUNCHERS.get(launcher)
    if by is None or not by.started:
        return Layout(1, 1)
    processes, nodes = _number(by.processes), _number(by.nodes, 1)
    found = Layout(_number(by.per_node, max(1, processes // nodes)), nodes)
    if found.per_node * nodes != processes or "," in os.environ.get(by.listed, ""):
        raise UsageError(
            f"{launcher} started {processes} processes on {nodes} nodes, which must be as many on each: "
            f"say how many with {by.option}"
        )
    return found


def _number(name: str, default: int = 1, least: int = 1, most: int = 2**31) -> int:
    """What a launcher has put into a variable. Raises UsageError where that is no such number."""
    found = os.environ.get(name, str(default))
    if not found.isdecimal() or not least <= int(found) <= most:
        upto = "on" if most == 2**31 else f"to {most}"
        raise UsageError(f"{name}={found}: a launcher gives a whole number from {least} {upto}")
    return int(found)


def take_place(launcher: str, asked: Layout) -> None:
    """Learn the rank of a process that torchrun or SLURM started; those of genlab are told theirs.

    Raises UsageError where the launcher did not start this process, and where processes were started
    otherwise than the trainer is for, or a variable of its is no number.
    """
    if launcher == "genlab":
        if "TORCHELASTIC_RUN_ID" in os.environ:
            raise UsageError("torchrun started this process: type trainer=torchrun")
        return
    by = LAUNCHERS[launcher]
    if not by.started:
        raise UsageError(
            f"trainer={launcher} is for processes that {by.command.split()[0]} starts, and it did not "
            f"start this one: type {by.command}, or trainer=ddp to have genlab start them"
        )
    found = layout(launcher)
    if asked != found:
        raise UsageError(
            f"{launcher} started {found.per_node} × {found.nodes} processes, but trainer.devices × "
            f"trainer.num_nodes is {asked.per_node} × {asked.nodes}: leave both out, as "
            f"trainer={launcher} finds them"
        )
    _number("MASTER_PORT", most=65535)  # where rank 0 waits for the others
    place, of = _number(by.rank, least=0), found.per_node * found.nodes
    if place >= of:
        raise UsageError(f"{by.rank}={place}: {launcher} started {of} processes, from 0 on")
    os.environ[VARIABLE] = str(place)
