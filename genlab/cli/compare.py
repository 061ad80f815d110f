"""Compare the scores of runs, in groups that may be compared.

  genlab compare RUN…
  genlab compare runs/* --format md
  genlab compare runs/* --format summary

Runs share a group if they were scored on the same data and split and their numbers are of the same kind:
a bound is never ranked against an exact value. Classification and reconstruction follow, by data, then
metrics of sample quality, by data, number of samples and features; neither in CSV, where their columns
would not fit. A summary is Markdown with likelihoods alone, one table for each data set, in which one kind
of number follows the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("table", "md", "summary", "json", "csv", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="run directories")
    parser.add_argument("--format", default="table", choices=FORMATS)
    parser.add_argument("--split", default="test", choices=("train", "val", "test", "all"))
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", help="short for --format json"
    )


def run(args: argparse.Namespace) -> int:
    import sys

    from genlab.gallery.sheets import compare
    from genlab.gallery.tables import WRITERS

    found, problems = compare(args.runs, None if args.split == "all" else args.split)
    for problem in problems:
        print(f"genlab: {problem}", file=sys.stderr)
    if not found and args.format == "table":
        print(f"no {args.split} scores: genlab evaluate RUN --split {args.split} makes them")
    else:
        print(WRITERS[args.format](found), end="")
    return 0
