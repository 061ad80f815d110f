"""Kill runs of every family at random moments: ``python -m tests.stress -o FOLDER``.

Ends with 1 where a run was lost, a file is broken, or weights, scores or pictures differ.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.stress.scenarios import FAMILIES, Scenario, installed
from tests.stress.stress import Report, stress


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="a new folder for the runs"
    )
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=installed())
    parser.add_argument("--processes", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.output.exists():
        parser.error(f"{args.output} is there already: name a new folder")
    left_out = ", ".join(sorted(FAMILIES.keys() - set(args.families)))
    if left_out:
        print(f"left out, as not asked for or not installed: {left_out}")
    reports = []
    for scenario in (Scenario(f, p) for p in args.processes for f in args.families):
        folder = args.output / scenario.name
        reports.append(stress(scenario, folder, args.seed))
        print(_row(reports[-1]), flush=True)
        if reports[-1].sound:
            shutil.rmtree(folder)
    print(_summary(reports))
    return 0 if all(report.sound for report in reports) else 1


def _row(report: Report) -> str:
    wrong = [*report.lost, *report.broken, *report.differing]
    lines = [f"{report.scenario.name}: {len(report.kills)} kills"]
    return "\n".join(
        [*lines, *(f"    {kill}" for kill in report.kills), *(f"  ! {w}" for w in wrong)]
    )


def _summary(reports: Sequence[Report]) -> str:
    kinds = Counter(kill.split(",")[0] for report in reports for kill in report.kills)
    whom = Counter(kill.split(", ")[1] for report in reports for kill in report.kills)
    lost, broken, differing = (
        sum(len(getattr(report, name)) for report in reports)
        for name in ("lost", "broken", "differing")
    )
    return (
        f"{kinds.total()} kills ({', '.join(f'{n} {k}' for k, n in (kinds + whom).items())}): "
        f"{lost} lost runs, {broken} broken files, {differing} differing results"
    )


if __name__ == "__main__":
    sys.exit(main())
