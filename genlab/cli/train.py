"""Train a model, then score it and draw from it.

  genlab train model=made data=digits_binary
  genlab train model=made data=debd data.name=plants stages.fit.max_epochs=50 seed=1
  genlab train experiment=made_mnist_fast --resume auto

Every key of the configuration can be set: genlab config show prints them.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="what to train, and how")
    parser.add_argument(
        "--resume",
        metavar="auto|RUN",
        help="go on with an unfinished run: the only one of these settings, or the one named",
    )
    parser.add_argument("--name", help="part of the run directory's name")


def run(args: argparse.Namespace) -> int:
    from genlab.api import train
    from genlab.cli.words import describe_any
    from genlab.rank import rank

    words = [*args.overrides, *([f"name={args.name}"] if args.name else [])]
    made = train(*words, resume=args.resume)
    if rank() == 0:
        for result in [*made.scores, *made.answers]:
            print(describe_any(result))
        print(made.path)
    return 0
