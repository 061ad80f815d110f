"""Search for the settings with the best validation value, each trial in a process of its own.

  genlab tune data=digits_binary optimizer=adam 'optimizer.lr=tag(log, interval(1e-4, 1e-1))' --trials 20
  genlab tune optimizer=adam 'optimizer.lr=interval(1e-3, 1e-2)' 'model.hidden=[100],[300]' --jobs 2
  genlab tune --resume studies/DIR --trials 40

Words are those of genlab train; those in Hydra's sweep syntax are searched over: interval(0, 1),
int(interval(1, 9)), tag(log, interval(1e-4, 1)), range(0, 10, 2), choice(a, b). The value is the one that
is monitored in the last stage; test data play no part. Trials that look bad are ended early (--pruner).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genlab.sweeps.names import PRUNERS, SAMPLERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", nargs="*", metavar="key=space", help="what to train and to search")
    parser.add_argument("--trials", type=int, metavar="N", help="in all (20)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at a time (1)")
    parser.add_argument("--sampler", choices=SAMPLERS, help="what chooses the next trial (tpe)")
    parser.add_argument("--pruner", choices=PRUNERS, help="what ends a trial early (median)")
    parser.add_argument(
        "--seed", type=int, metavar="S", help="of the sampler (0); runs have seed=…"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", dest="folder", type=Path, metavar="DIR", help="a new directory for it")
    place.add_argument("--resume", type=Path, metavar="DIR", help="go on with the study in it")


def run(args: argparse.Namespace) -> int:
    from genlab.errors import UsageError
    from genlab.sweeps import tune

    asked = tune.Asked(args.trials, args.jobs, args.sampler, args.pruner, args.seed)
    if args.resume is not None:
        return tune.resume(args.resume, args.space, asked)
    if not args.space:
        raise UsageError("name what to train and to search, as genlab tune 'model.hidden=[9],[99]'")
    return tune.start(args.space, args.folder, asked)
