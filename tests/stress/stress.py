"""A run is killed again and again, goes on each time, and must end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.stress.comparison import broken, differences
from tests.stress.moments import Moment, moments
from tests.stress.scenarios import Scenario

ROOT = Path(__file__).parents[2]
END = 600.0  # seconds after which a run hangs
LEAVE = 60.0  # seconds for the others to end once one process has been killed
LAPS = 10  # runs in which as many kills are to find their moment


@dataclass
class Report:
    """What became of a scenario."""

    scenario: Scenario
    kills: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.lost or self.broken or self.differing)


class Lost(Exception):
    """A run did not go on, or did not end."""


def stress(scenario: Scenario, folder: Path, seed: int, kills: int | None = None) -> Report:
    """Run it undisturbed, and run it killed at random moments; whole files in between, the same in the end.

    kills: how many; each of the moments once where it is None.
    """
    chance, report = random.Random(f"{seed} {scenario.name}"), Report(scenario)
    began = time.monotonic()
    whole = _to_the_end(scenario, folder / "whole", [])
    left = moments(chance, time.monotonic() - began, whole)[:kills]
    for lap in range(LAPS):
        own = folder / f"lap-{lap}"
        try:
            left, ended = _lap(scenario, own, left, chance, report)
            found = _only_run(own) if ended else _to_the_end(scenario, own, ["--resume=auto"])
        except Lost as lost:
            report.lost.append(f"{own}: {lost}")
            break
        report.broken += _broken(own)
        report.differing += differences(whole, found)
        if not left:
            break
        left = [moment.earlier(chance) for moment in left]  # the machine is less busy by now
    else:
        report.lost += [f"no run came past the moment {moment.name!r}" for moment in left]
    return report


def _lap(
    scenario: Scenario,
    folder: Path,
    left: Sequence[Moment],
    chance: random.Random,
    report: Report,
) -> tuple[list[Moment], bool]:
    """Kill one run at one moment after the other. Returns those left, and whether it came to its end."""
    for n, moment in enumerate(left):
        process = _start(scenario, folder, ["--resume=auto"])
        struck = moment.wait(folder, lambda process=process: process.poll() is None)
        whom = _kill(process, scenario.processes, chance) if struck else ""
        _, errors = process.communicate()
        if _completed(folder):
            return list(left[n:]), True
        if not struck:
            raise Lost(errors)
        report.kills.append(f"{moment.name}, {whom}")
        report.broken += _broken(folder)
    return [], False


def _start(scenario: Scenario, folder: Path, more: Sequence[str]) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "genlab", "train", *scenario.words, f"folder={folder}", *more]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _to_the_end(scenario: Scenario, folder: Path, more: Sequence[str]) -> Path:
    process = _start(scenario, folder, more)
    try:
        _, errors = process.communicate(timeout=END)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Lost(f"it hangs, {END:.0f} seconds after its start") from None
    if process.returncode:
        raise Lost(errors)
    return _only_run(folder)


def _completed(folder: Path) -> bool:
    """Also where a process was killed that had nothing left to do."""
    records = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    return any(record["status"] == "completed" for record in records)


def _only_run(folder: Path) -> Path:
    runs = [path.parent for path in folder.glob("*/run.json")]
    if len(runs) != 1:
        raise Lost(f"{len(runs)} run directories instead of one")
    return runs[0]


def _kill(process: subprocess.Popen, processes: int, chance: random.Random) -> str:
    """All of its processes, or one of several, after which the others must end by themselves."""
    ranks = [psutil.Process(process.pid), *_children(process)]
    whom = chance.choice(["all", *range(processes)]) if processes > 1 else "all"
    chosen = ranks if whom == "all" else ranks[whom : whom + 1]
    for each in chosen:
        each.send_signal(signal.SIGKILL)
    if _left(process, ranks[1:]):
        raise Lost(f"processes live {LEAVE:.0f} seconds after rank {whom} was killed")
    return "all processes" if whom == "all" else f"rank {whom}"


def _left(process: subprocess.Popen, others: Sequence[psutil.Process]) -> bool:
    """Whether any of them lives after a while."""
    try:
        process.wait(LEAVE)
    except subprocess.TimeoutExpired:
        return True
    return bool(psutil.wait_procs(others, timeout=LEAVE)[1])


def _children(process: subprocess.Popen) -> list[psutil.Process]:
    """The other ranks, in their order; data workers and compilers are theirs to end."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "genlab" in " ".join(_command(child))]


def _command(child: psutil.Process) -> list[str]:
    """Nothing of one that has ended by now."""
    try:
        return child.cmdline()
    except psutil.Error:
        return []


def _broken(folder: Path) -> list[str]:
    return [line for run in folder.iterdir() for line in broken(run)]
