"""List runs: how far each is, whether it lives, its best score.

genlab runs
genlab runs runs demo --status dead

A run that says it is running, while no process works on it, is dead: genlab train … --resume RUN goes
on with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.runs import RunDirectory

STATUSES = ("running", "completed", "interrupted", "failed", "dead")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", metavar="FOLDER", type=Path, default=[Path("runs")])
    parser.add_argument("--status", choices=STATUSES, help="only those")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import json

    found = [_about(run) for folder in args.folders for run in _runs(folder)]
    found = [about for about in found if args.status in (None, about["status"])]
    if args.json:
        print(json.dumps(found, indent=2))
    elif not found:
        print(f"no runs in {', '.join(map(str, args.folders))}")
    else:
        for about in found:
            print(
                f"{about['status']:12}{about['progress'] or '':>7}  {about['run']}  {_said(about)}"
            )
    return 0


def _runs(folder: Path) -> list[RunDirectory]:
    """Those in it, or the one that it is."""
    from genlab.errors import UsageError
    from genlab.runs import RunDirectory, find

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name one that holds run directories")
    own = RunDirectory(folder)
    return [own] if own.record.is_file() else find(folder)


def _about(run: RunDirectory) -> dict[str, Any]:
    from genlab.errors import UsageError

    about = {"run": str(run.path), "progress": None, "score": None}
    try:
        record = run.read()
        status = run.condition(record)
    except (UsageError, KeyError, TypeError) as error:
        return about | {"status": "unreadable", "error": str(error)}
    return about | {
        "status": status,
        "progress": None if status == "completed" else _progress(record),
        "score": _best(run),
        "error": record.get("error") if status == "failed" else None,
    }


def _progress(record: dict[str, Any]) -> str | None:
    """Of all stages together, as many of them as equally long; after the training, what it does."""
    from genlab.runs import TRAINING

    if record.get("doing") not in (None, TRAINING):
        return record["doing"]
    at = record.get("progress")
    if not at:
        return None
    done = (at["number"] - 1 + at["step"] / max(1, at["steps"])) / at["stages"]
    return f"{100 * done:.0f} %"


def _best(run: RunDirectory) -> dict[str, Any] | None:
    """The best of its scores on the test split, or else on the validation split."""
    from genlab.gallery.scores import read_scores

    scores, _ = read_scores(run)
    for split in ("test", "val"):
        found = [s for s in scores if s["data"]["split"] == split and s["nats"]["mean"] is not None]
        if found:
            return max(found, key=lambda score: score["nats"]["mean"])
    return None


def _said(about: dict[str, Any]) -> str:
    from genlab.cli.words import describe

    if about["error"]:
        return about["error"]
    return describe(about["score"]) if about["score"] else ""
