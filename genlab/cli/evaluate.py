"""Score runs: how likely are data they have not seen?

  genlab evaluate RUN --split test
  genlab evaluate RUN likelihood=elbo trainer=ddp_cpu

Model and data come from the run; likelihood, trainer and seed may be set anew.
"""

from __future__ import annotations

import argparse

SETTABLE = ("likelihood", "trainer", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", metavar="RUN|key=value", help="runs and settings")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--json", action="store_true", help="print the score files")


def run(args: argparse.Namespace) -> int:
    import json

    from genlab.api import open
    from genlab.cli.arguments import runs_and_overrides
    from genlab.cli.words import describe
    from genlab.components import build
    from genlab.config import compose
    from genlab.errors import UsageError
    from genlab.launch import rank
    from genlab.spelling import suggest

    paths, overrides = runs_and_overrides(args.words)
    tops = {word.lstrip("+~").split("=")[0].split(".")[0] for word in overrides}
    for top in tops - set(SETTABLE):
        raise UsageError(f"{top}: a run's {top} is given by the run{suggest(top, SETTABLE)}")
    fresh = compose(overrides).resolved
    choice = {
        "likelihood": fresh["likelihood"] if "likelihood" in tops else None,
        "settings": build(fresh["trainer"], where="trainer") if "trainer" in tops else None,
        "seed": fresh["seed"] if "seed" in tops else None,
    }
    given = [open(path).evaluate(args.split, **choice) for path in paths]
    scores = [score for score in given if score is not None]
    if rank() == 0:
        print(json.dumps(scores, indent=2) if args.json else "\n".join(map(describe, scores)))
    return 0
