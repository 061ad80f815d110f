"""Say what is in a run directory: settings, status, scores, answers.

genlab info RUN
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.runs import RunDirectory

# Of all processes together, of one, of one: words for so many of a unit.
SPEED = {
    "speed/data": ("{:,.0f} data a second", 1),
    "speed/utilisation": ("{:.1%} of what the device can do", 1),
    "memory/peak": ("{:,.0f} MiB of memory at most", 2**20),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_path", metavar="RUN", type=Path)
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import json

    from genlab.cli.words import describe_any
    from genlab.gallery.answers import read_answers
    from genlab.gallery.scores import read_scores
    from genlab.gallery.words import stage
    from genlab.records import require_whole
    from genlab.runs import RunDirectory, train_command

    directory = RunDirectory(args.run_path)
    record = directory.read()
    require_whole(record, directory.record, ("status", "spec", "stages"))
    scores, odd = read_scores(directory)
    answers, unreadable = read_answers(directory)
    if args.json:
        print(json.dumps({"run": record, "scores": scores, "answers": answers}, indent=2))
        return 0
    print(f"{directory.path.name}: {_status(directory, record)}")
    print(f"  command      {train_command(record)}")
    print(f"  data         {record['spec']['name']} ({record['spec']['variant']})")
    if "parameters" in record:
        print(f"  parameters   {record['parameters']:,}")
    print(f"  stages       {', '.join(record['stages'])}")
    if record["status"] != "completed" and record.get("doing"):
        print(f"  doing        {record['doing']}")
    if record["status"] != "completed" and record.get("progress"):
        print(f"  training     {stage(record['progress'])}")
    if "training_seconds" in record:
        print(f"  trained for  {record['training_seconds']:.0f} s")
    _print_speed(directory)
    _print_selection(record)
    for result in [*scores, *answers]:
        print(f"  {describe_any(result)}")
    for problem in odd + unreadable:
        print(f"  {problem}")
    return 0


def _status(directory: RunDirectory, record: Mapping[str, Any]) -> str:
    """The status, and why the run is not complete."""
    status = record["status"]
    if status == "failed":
        return f"failed: {record.get('error')}"
    if directory.condition(record) == "dead":
        return f"stopped without a word; its last sign of life is of {directory.last_sign(record)}"
    return status


def _print_speed(directory: RunDirectory) -> None:
    """Of each stage, in its last epoch."""
    from genlab.gallery.curves import read_curves

    try:
        curves = read_curves(directory.curves)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        print(f"  speed        unreadable: {error}")
        return
    for stage, series in curves.items():
        last = {name: points[-1][1] for name, points in series.items()}
        said = [
            words.format(last[name] / unit) for name, (words, unit) in SPEED.items() if name in last
        ]
        if said:
            print(f"  speed        {stage}: {', '.join(said)}")


def _print_selection(record: Mapping[str, Any]) -> None:
    from genlab.gallery.selection import as_text, read_selection

    try:
        selection = read_selection(record)
    except (KeyError, TypeError, ValueError) as error:
        print(f"  selection    unreadable: {type(error).__name__}: {error}")
        return
    if selection is not None:
        print(f"  selection    {selection.sentence}")
        for line in as_text(selection):
            print(f"    {line}")
