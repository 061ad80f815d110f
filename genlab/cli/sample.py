"""Draw from a trained model: a picture, single PNG images, an array, and how the draws came to be.

  genlab sample RUN --n 64 --seed 0
  genlab sample RUN --label 3 -o drawn
  genlab sample RUN --complete image.png --observed left

Completion keeps the observed part of an image (left, right, top or bottom half, or where a mask image of
the same size is bright) and draws the rest. FILE is a PNG of exactly the data's size or an .npz with an
array x; the observed part is tinted blue in the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_path", metavar="RUN", type=Path)
    parser.add_argument("--n", type=int, default=64, help="how many to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label", type=int, metavar="K", help="the class to draw from")
    parser.add_argument("--complete", metavar="FILE", type=Path, help="draw the rest of these data")
    parser.add_argument("--observed", metavar="left|right|top|bottom|MASK.png")
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, help="the run's own samples/ by default"
    )


def run(args: argparse.Namespace) -> int:
    from genlab.api import open, show
    from genlab.errors import UsageError

    if (args.complete is None) != (args.observed is None):
        raise UsageError(
            "--complete FILE and --observed left|right|top|bottom|MASK.png go together"
        )
    opened = open(args.run_path)
    folder = args.out or opened.directory.samples
    if args.complete is not None:
        if args.label is not None:
            raise UsageError("--label and --complete cannot be combined")
        picture = show.complete(
            opened, folder, args.complete, args.observed, args.n, seed=args.seed
        )
        written = [picture]
    else:
        written = show.sample(opened, folder, args.n, seed=args.seed, label=args.label)
    print("\n".join(map(str, written)))
    return 0
