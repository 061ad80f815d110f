"""Does a run on two processes do what it owes: equal weights, the scores and samples of one, exact resume?

All runs are made in one launch of two processes (``pair``), as starting those takes longer than most runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from genlab import api
from genlab.runs import write_json
from genlab.targets import trusted_prefixes
from genlab.testing.check import Fault, Skip, describe, expect
from genlab.testing.pair import DRAWN
from genlab.testing.report import Report, Result, Status
from genlab.testing.witness import STOP
from genlab.training import TrainerSettings, load_checkpoint
from genlab.trust import read_json
from genlab.trust.arrays import read_npz

PATIENCE = 1200.0  # seconds for all runs
ALONE = TrainerSettings(accelerator="cpu", threads=1)
PARTS = ("state_dict", "current_model_state", "optimizer_states", "rank_state")


def check_processes(*runs: Sequence[str]) -> list[Report]:
    """A report of each run, given by its words: ``check_processes(["model=mine", "data=digits"])``.

    A run is trained for a few steps of each stage by two processes and scored on its test data; then once
    more, and asked to stop in each stage and resumed. Keep it small, and its data such that a few steps are
    more than an epoch.
    """
    with TemporaryDirectory() as name:
        folder, asked = Path(name), {str(n): list(words) for n, words in enumerate(runs)}
        faults = make(folder, asked)
        return [_report(words, folder / n, faults.get(n)) for n, words in asked.items()]


def make(folder: Path, asked: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Make all runs, those after a broken one in a new launch; what is wrong with the broken, by name."""
    faults: dict[str, str] = {}
    while left := _without(asked, {n for n in asked if n in faults or _finished(folder / n)}):
        write_json(folder / "asked.json", {"trusted": trusted_prefixes(), "runs": left})
        command = [sys.executable, "-m", "genlab.testing.pair", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        except subprocess.TimeoutExpired:
            said = f"it has not ended after {PATIENCE:.0f} s"
        if broken := [name for name in left if not _finished(folder / name)]:
            faults[broken[0]] = _fault(folder / broken[0]) or said
    return faults


def _fault(folder: Path) -> str | None:
    """What a process has said; one that only misses another is heard last."""
    found = [each["fault"] for each in _seen(folder) if "fault" in each]
    return min(found, key=lambda fault: " has ended" in fault, default=None)


def _without(asked: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: words for name, words in asked.items() if name not in names}


def _seen(folder: Path) -> list[dict[str, Any]]:
    """What each process has left of a run, in the order of ranks."""
    return [read_json(file) for file in sorted(folder.glob("rank-*.json"))]


def _finished(folder: Path) -> list[dict[str, Any]]:
    """What both processes have seen of a run; nothing where one has not come to its end."""
    found = [each for each in _seen(folder) if "fault" not in each]
    return found if len(found) == 2 else []


def _report(words: Sequence[str], folder: Path, fault: str | None) -> Report:
    title = " ".join(words)
    if fault is not None:
        return Report(title, (Result(TRAINS, "", Status.FAILED, 0.0, fault),))
    first = Result(TRAINS, "", Status.PASSED, _finished(folder)[0]["seconds"])
    return Report(title, (first, *(_result(check, folder) for check in CHECKS)))


def _result(check: Callable[[Path], None], folder: Path) -> Result:
    start = time.perf_counter()
    status, message = Status.PASSED, ""
    try:
        check(folder)
    except (Fault, Skip) as error:
        status, message = Status.FAILED, str(error)
        if isinstance(error, Skip):
            status = Status.SKIPPED
    except Exception as error:
        status, message = Status.FAILED, describe(error)
    return Result(check.__name__, "", status, time.perf_counter() - start, message)


# ------------------------------------------------------------------------------------------------- checks


def processes_hold_the_same_weights(folder: Path) -> None:
    """In the middle of each stage and at its end. Only gradients are averaged for a model: statistics of a
    batch that it keeps must be those of all processes (``genlab.together``), or its ``rank_state``."""
    first, second = (each["weights"] for each in _finished(folder))
    pairs = zip(first, second, strict=True)
    differing = dict.fromkeys(name for a, b in pairs for name in a if a[name] != b.get(name))
    expect(not differing, f"they differ: {', '.join([*differing][:5])}")


def two_processes_score_as_one(folder: Path) -> None:
    """Likelihoods and answers about each datum, number for number."""
    two = _only(folder / "undisturbed")
    one = api.open(shutil.copytree(two, folder / "scored" / two.name))
    if one.generative:
        one.evaluate("test", settings=ALONE)
    one.measure(None, "test", settings=ALONE)
    files = sorted(str(file.relative_to(two)) for file in two.glob("*/*.npz"))
    if not files:
        raise Skip("it has no scores")
    for file in files:
        ours, theirs = read_npz(two / file), read_npz(one.path / file)
        differing = [k for k in ours if not np.array_equal(ours[k], theirs[k], equal_nan=True)]
        expect(not differing, f"{file}: {', '.join(differing)} of one process differ")


def two_processes_draw_as_one(folder: Path) -> None:
    files = sorted(folder.glob("rank-*.npz"))
    if not files:
        raise Skip("it draws no samples")
    expected = api.open(_only(folder / "undisturbed")).sample(DRAWN, seed=0).numpy()
    for rank, file in enumerate(files):
        same = np.array_equal(read_npz(file)["x"], expected, equal_nan=True)
        expect(same, f"samples of rank {rank} differ from those of one process")


def two_processes_go_on_where_they_were(folder: Path) -> None:
    """Weights, averages, optimizers and the state of every rank, in every stage."""
    stages = _finished(folder)[0]["trained"]
    if not stages:
        raise Skip("none of its stages has steps")
    run, other = (_only(folder / name) for name in ("undisturbed", "resumed"))
    sessions = len(read_json(other / "run.json")["sessions"])
    expect(
        sessions == len(stages) + 1,
        f"{sessions - 1} of {len(stages)} stages were stopped after step {STOP}",
    )
    for stage in stages:
        ours, theirs = (
            load_checkpoint(r / "checkpoints" / stage / "last.ckpt") for r in (run, other)
        )
        for part in PARTS:
            differing = list(_differences(ours.get(part), theirs.get(part), part))
            expect(not differing, f"stage {stage}: {', '.join(differing[:5])}")


TRAINS = "it_trains_on_two_processes"
CHECKS = (
    processes_hold_the_same_weights,
    two_processes_score_as_one,
    two_processes_draw_as_one,
    two_processes_go_on_where_they_were,
)
NAMES = (TRAINS, *(check.__name__ for check in CHECKS))


def _only(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def _differences(ours: Any, theirs: Any, where: str) -> list[str]:
    """Where two values, with all that is in them, differ."""
    if isinstance(ours, torch.Tensor):
        same = isinstance(theirs, torch.Tensor) and torch.equal(ours, theirs)
        return [] if same else [where]
    if isinstance(ours, tuple):  # which a strategy may give back as a list
        return _differences([*ours], [*theirs] if isinstance(theirs, tuple) else theirs, where)
    if isinstance(ours, dict | list) and type(ours) is type(theirs) and len(ours) == len(theirs):
        pairs = ours.items() if isinstance(ours, dict) else enumerate(ours)
        found = (_differences(value, theirs[key], f"{where}.{key}") for key, value in pairs)
        return [each for differences in found for each in differences]
    return [] if ours == theirs else [where]
