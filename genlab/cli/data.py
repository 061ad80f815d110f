"""List the data sets, check their files, or fetch them from their public source.

genlab data list
genlab data check mnist
genlab data fetch mnist_binary --to data

Nothing is fetched but by this verb. $GENLAB_MIRROR names a web server, laid out as a data folder, to ask in
place of the public sources.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "check", "fetch"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="all data sets by default")
    parser.add_argument("--to", metavar="DIR", type=Path, help="where to put what is fetched")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from genlab.data import built_in_sets, set_status
    from genlab.errors import UsageError

    known = built_in_sets()
    for name in args.names:
        if name not in known:
            raise UsageError(_unknown(name, known))
    if args.to is not None and args.action != "fetch":
        raise UsageError(f"--to says where to fetch: genlab data {args.action} takes none")
    if args.action == "fetch":
        return _fetch(args)
    found = [set_status(name, verify=args.action == "check") for name in args.names or known]
    if args.json:
        print(json.dumps([dataclasses.asdict(status) for status in found], indent=2, default=str))
    else:
        for status in found:
            print(_line(status))
    complete = all(status.ready for status in found)
    return 2 if args.action == "check" and args.names and not complete else 0


def _unknown(name: str, known: Sequence[str]) -> str:
    from genlab.options import options
    from genlab.spelling import suggest

    members = [member for member in known if member.startswith(f"{name}/")]
    if members:
        return f"{name} is several data sets: name some of {', '.join(members)}"
    if any(option.name == name for option in options("data")):
        return f"data={name} has no files of a known name: genlab data list has the sets that have"
    return f"there is no data set {name!r}{suggest(name, known)}"


def _fetch(args: argparse.Namespace) -> int:
    import json

    from genlab.data import fetch
    from genlab.errors import UsageError

    if not args.names:
        raise UsageError(
            "genlab data fetch needs the name of a data set: genlab data list has them"
        )
    files = [path for name in args.names for path in fetch(name, args.to)]
    if args.json:
        print(json.dumps([str(path) for path in files], indent=2))
    else:
        for path in files:
            print(path)
    return 0


def _line(status) -> str:
    shape = "x".join(map(str, status.shape))
    if not status.files:
        return f"{status.name:<19} {shape:<8}  inside the package"
    files = "; ".join(f"{f.name} {f.state}" for f in status.files)
    sources = dict.fromkeys(f.origin for f in status.files if f.path is None)
    origin = f" (from {', '.join(sources)})" if sources else ""
    return f"{status.name:<19} {shape:<8}  {files}{origin}"
