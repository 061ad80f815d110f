"""``python -m tests.fuzz --cases 10000 [--only runs exports] [--seed 0]``: the long form, with counts."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.place import Place
from tests.fuzz.running import fuzz
from tests.fuzz.targets import ALL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of all kinds together")
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    failed = total = 0
    with tempfile.TemporaryDirectory(prefix="genlab-fuzz-") as folder:
        place = Place(Path(folder))
        for name in args.only:
            start = time.monotonic()
            count, wrong = fuzz(ALL[name], place, -(-args.cases // len(args.only)), args.seed)
            total, failed = total + count, failed + wrong.total()
            seconds = time.monotonic() - start
            print(f"{name:15} {count:6} cases, {wrong.total()} wrong, {seconds:.0f} s", flush=True)
            for what, times in wrong.most_common():
                print(f"    {times} × {what}", flush=True)
    print(f"{'all':15} {total:6} cases, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
