"""Train a model at every point of a sweep, each in a process of its own.

  genlab sweep model=made,draw seed=1,2,3 data=digits_binary
  genlab sweep 'model.hidden=[100],[300]' 'seed=range(0,5)' --jobs 4
  genlab sweep --resume sweeps/DIR
  genlab sweep seed=1,2 --launcher submitit --set timeout_min=240 --set slurm_partition=gpu

Words are those of genlab train, in Hydra's sweep syntax: a,b; choice(a, b); range(0, 5); glob(*). Every
point is checked before the first begins. A point that fails does not end the others; --resume goes on with
those that are not completed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genlab.sweeps.names import LAUNCHERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", nargs="*", metavar="key=value,value", help="what to train")
    parser.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        help="basic: one after the other; joblib: several at a time; submitit: jobs of a cluster",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at a time")
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="an option of submitit"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", dest="folder", type=Path, metavar="DIR", help="a new directory for it")
    place.add_argument("--resume", type=Path, metavar="DIR", help="go on with the sweep in it")


def run(args: argparse.Namespace) -> int:
    from genlab.errors import UsageError
    from genlab.sweeps import sweep
    from genlab.sweeps.launchers import choose
    from genlab.sweeps.submission import options_of

    launcher = choose(args.launcher, args.jobs, options_of(args.set))
    if args.resume is not None:
        return sweep.resume(args.resume, args.sweep, launcher)
    if not args.sweep:
        raise UsageError("name what to train, as genlab sweep model=made seed=1,2,3")
    return sweep.start(args.sweep, args.folder, launcher)
