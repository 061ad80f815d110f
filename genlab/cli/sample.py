"""Draw from a trained model: a picture, single PNG images, an array, and how the draws came to be.

  genlab sample RUN --n 64 --seed 0
  genlab sample RUN --n 16 --show
  genlab sample RUN --label 3 --guidance 2 -o drawn
  genlab sample RUN sampler=dpm sampler.steps=20
  genlab sample RUN --complete image.png --evidence observed:left
  genlab sample RUN --complete image.png --evidence observed:left --label 3

Completion draws data of which something is known. observed:left (right, top, bottom) or
observed:mask.png, where a mask image is bright: FILE is a datum that is known there. noisy:0.3: FILE is
a datum with Gaussian noise of that deviation. pooled:4: FILE holds the means over 4 × 4 pixels of an
image. FILE is a PNG of exactly the size that is expected (--resize brings it to that) or an .npz with
an array x. What was observed is tinted blue in the picture.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", metavar="RUN|key=value", help="the run, and a sampler")
    parser.add_argument("--n", type=int, default=64, help="how many to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label", type=int, metavar="K", help="the class to draw from")
    parser.add_argument(
        "--guidance", type=float, default=1.0, metavar="W", help="more (W > 1) or less of the label"
    )
    parser.add_argument(
        "--complete", metavar="FILE", type=Path, help="draw data given what is in FILE"
    )
    parser.add_argument(
        "--evidence",
        metavar="KIND:VALUE",
        help="what FILE is: observed:left, noisy:0.3, pooled:4, …",
    )
    parser.add_argument(
        "--resize", action="store_true", help="bring FILE to the size that is expected"
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, help="the run's own samples/ by default"
    )
    parser.add_argument(
        "--show", action="store_true", help="draw the picture in the terminal, in 24-bit colours"
    )


def run(args: argparse.Namespace) -> int:
    from genlab.api import open, show
    from genlab.cli.arguments import runs_and_overrides
    from genlab.config import compose
    from genlab.errors import UsageError
    from genlab.gallery.terminal import text_of
    from genlab.spelling import suggest

    paths, words = runs_and_overrides(args.words)
    if len(paths) > 1:
        raise UsageError(f"name one run, not {len(paths)}")
    for top in {word.lstrip("+~").split("=")[0].split(".")[0] for word in words} - {"sampler"}:
        raise UsageError(f"{top}: a run's {top} is given by the run{suggest(top, ['sampler'])}")
    sampler = compose(words).resolved.get("sampler") if words else None

    if (args.complete is None) != (args.evidence is None):
        raise UsageError("--complete FILE and --evidence KIND:VALUE go together")
    if args.resize and args.complete is None:
        raise UsageError("--resize is for --complete FILE")
    opened = open(paths[0])
    if opened.directory.exported and args.out is None:
        raise UsageError(
            f"{opened.path} is an export, which nothing changes: say where with -o DIR"
        )
    folder = args.out or opened.directory.samples
    if args.complete is not None:
        if sampler is not None or args.guidance != 1:
            raise UsageError("--complete cannot be combined with --guidance or sampler=…")
        picture = show.complete(
            opened,
            folder,
            args.complete,
            args.evidence,
            args.n,
            seed=args.seed,
            label=args.label,
            resize=args.resize,
        )
        written = [picture]
    else:
        written = show.sample(
            opened,
            folder,
            args.n,
            seed=args.seed,
            label=args.label,
            sampler=sampler,
            guidance=args.guidance,
            words=words,
        )
    if args.show:
        print(text_of(written[0], shutil.get_terminal_size().columns))
    print("\n".join(map(str, written)))
    return 0
