"""Say what is in a run directory: settings, status, scores, answers.

genlab info RUN
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_path", metavar="RUN", type=Path)
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import json

    from genlab.cli.words import describe_any
    from genlab.gallery.answers import read_answers
    from genlab.runs import RunDirectory

    directory = RunDirectory(args.run_path)
    record = directory.read()
    scores = [json.loads(p.read_text()) for p in sorted(directory.scores.glob("*.json"))]
    answers, unreadable = read_answers(directory)
    if args.json:
        print(json.dumps({"run": record, "scores": scores, "answers": answers}, indent=2))
        return 0
    print(f"{directory.path.name}: {record['status']}")
    print(f"  command      genlab train {' '.join(record['overrides'])}")
    print(f"  data         {record['spec']['name']} ({record['spec']['variant']})")
    print(f"  parameters   {record['parameters']:,}")
    print(f"  stages       {', '.join(record['stages'])}")
    if "training_seconds" in record:
        print(f"  trained for  {record['training_seconds']:.0f} s")
    for result in [*scores, *answers]:
        print(f"  {describe_any(result)}")
    for problem in unreadable:
        print(f"  {problem}")
    return 0
