"""Write a run as a folder for others: weights (safetensors), settings and scores (JSON), a card, checksums.

  genlab export RUN -o made-digits
  genlab verify made-digits
  genlab sample made-digits --n 64 -o drawn

Whoever gets the folder can open it without risk: nothing in it is code, and nothing is run that it names.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_path", metavar="RUN", type=Path)
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="a new folder")


def run(args: argparse.Namespace) -> int:
    from genlab.api import open

    print(open(args.run_path).export(args.out))
    return 0
