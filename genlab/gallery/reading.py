"""What several runs hold of one kind: scores, answers or sample quality."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from genlab.runs import RunDirectory

Read = Callable[[RunDirectory], tuple[list[dict[str, Any]], list[str]]]
Found = tuple[RunDirectory, dict[str, Any], dict[str, Any]]


def of_runs(paths: Iterable[Path], split: str | None, read: Read) -> tuple[list[Found], list[str]]:
    """Each run with its record and one result of the split, run by run; and what was unreadable.

    split: None for every split. Raises UsageError where a path is no run directory.
    """
    results: list[Found] = []
    problems: list[str] = []
    for path in paths:
        run = RunDirectory(path)
        record = run.read()
        found, unreadable = read(run)
        problems += [f"{path.name}: {problem}" for problem in unreadable]
        results += [(run, record, each) for each in found if split in (None, each["data"]["split"])]
    return results, problems
