"""Show runs side by side: a page for each, and an index over them.

  genlab gallery RUN…
  genlab gallery runs/* -o public --readme

The pages are plain files: they need no server and ask nothing of the network. The folder of a page can be
shown again like the run itself, without its weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="run directories")
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, default=Path("gallery"))
    parser.add_argument(
        "--readme",
        action="store_true",
        help="write README.md too: pictures and scores for the page of a repository",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write into a folder that holds other things, which are kept unless they have the same name",
    )


def run(args: argparse.Namespace) -> int:
    from genlab.gallery.page import build
    from genlab.progress import progress

    with progress("gallery", len(args.runs)) as advance:
        index = build(
            args.runs, args.out, overwrite=args.overwrite, advance=advance, markdown=args.readme
        )
    print(index)
    return 0
