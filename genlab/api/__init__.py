"""genlab in Python: ``train`` makes a run, ``open`` opens one."""

from __future__ import annotations

from pathlib import Path

from genlab.api.plan import Plan
from genlab.api.run import Run
from genlab.api.selection import candidates
from genlab.api.session import Session, choose_directory
from genlab.launch import shared_run
from genlab.runs import RunDirectory

__all__ = ["Plan", "Run", "open", "train"]


def train(*overrides: str, resume: str | None = None) -> Run:
    """Train, score and sample a model: ``train("model=made", "data=digits", "seed=1")``.

    resume: None for a new run, "auto" for the unfinished run of the same settings (a new one where there is
    none), or the path of a run.
    Raises UsageError for anything wrong with the words, before a file is written, and where "auto" could
    mean several runs.
    """
    plan = Plan(overrides)
    tried = candidates(plan)
    plan.settings.join()
    with shared_run(lambda: choose_directory(plan, resume)) as directory:
        return Session(plan, tried, directory).carry_out()


def open(path: str | Path, results: str | Path | None = None) -> Run:
    """The run, or the export, in a directory. Its data are not needed until they are asked for.

    results: another folder to keep the scores in that are computed; those of an export are kept nowhere
    else. Nothing in the directory is run: docs/security.md says what that means.
    """
    return Run(RunDirectory(Path(path)), results=None if results is None else Path(results))
