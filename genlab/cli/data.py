"""List the data sets and check their files.

genlab data list
genlab data check mnist
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "check"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="all data sets by default")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from genlab.data import built_in_sets, set_status
    from genlab.errors import UsageError
    from genlab.spelling import suggest

    known = built_in_sets()
    for name in args.names:
        if name not in known:
            raise UsageError(f"there is no data set {name!r}{suggest(name, known)}")
    found = [set_status(name, verify=args.action == "check") for name in args.names or known]
    if args.json:
        print(json.dumps([dataclasses.asdict(status) for status in found], indent=2))
    else:
        for status in found:
            print(_line(status))
    complete = all(status.ready for status in found)
    return 2 if args.action == "check" and args.names and not complete else 0


def _line(status) -> str:
    shape = "x".join(map(str, status.shape))
    if not status.files:
        return f"{status.name:<18} {shape:<8}  inside the package"
    files = [
        f"{f.name} {f.state}" + ("" if f.path else f" (from {f.origin})") for f in status.files
    ]
    return f"{status.name:<18} {shape:<8}  {'; '.join(files)}"
