"""Compare runs, exports, shards or data folders with every checksum that is recorded of them.

  genlab verify RUN
  genlab verify made-digits runs/*

What is altered, missing or extra is listed, and the exit code is 2. A checksum finds damage; it does not
say who wrote a folder.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genlab.verify import Verified


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path)
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from genlab.verify import verify

    found = [verify(path) for path in args.paths]
    if args.json:
        content = [dataclasses.asdict(each) | {"whole": each.whole} for each in found]
        print(json.dumps(content, indent=2, default=str))
    else:
        for each in found:
            _print(each)
    return 0 if all(each.whole for each in found) else 2


def _print(found: Verified) -> None:
    for finding in found.findings:
        if finding.state not in ("verified", "unchecked"):
            print(
                f"{found.path}: {finding.name} {finding.state}"
                + (f" ({finding.why})" if finding.why else "")
            )
    count = Counter(str(finding.state) for finding in found.findings)
    said = ", ".join(f"{n} {state}" for state, n in sorted(count.items()))
    print(f"{found.path}: {found.kind}, {'whole' if found.whole else 'NOT WHOLE'}: {said}")
