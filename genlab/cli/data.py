"""List the data sets, check their files, fetch them from their public source, or write them as shards.

genlab data list
genlab data check mnist
genlab data fetch mnist_binary --to data
genlab data shard mnist -o shards
genlab data shard data=npz data.path=big.npz -o big
genlab data check big

Nothing is fetched but by this verb. $GENLAB_MIRROR names a web server, laid out as a data folder, to ask in
place of the public sources.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

MANY = 8  # files of a set, beyond which those are not named where nothing is wrong


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "check", "fetch", "shard"))
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="data sets, by default all; a folder of shards to check; the one to make shards of, or data=…",
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="where to write shards")
    parser.add_argument("--rows", type=int, help="data in each file; by default 512 MB of them")
    parser.add_argument(
        "--format",
        metavar="npy|safetensors",
        help="of the shards: npy, the default, or safetensors for other readers",
    )
    parser.add_argument("--to", metavar="DIR", type=Path, help="where to put what is fetched")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from genlab.data import built_in_sets, set_status, shards_status
    from genlab.errors import UsageError

    _refuse_options(args)
    if args.action == "shard":
        return _shard(args)
    known = built_in_sets()
    folders = [
        n for n in args.names if n not in known and Path(n).is_dir() and args.action == "check"
    ]
    for name in args.names:
        if name not in (*known, *folders):
            raise UsageError(_unknown(name, known))
    if args.action == "fetch":
        return _fetch(args)
    found = [
        shards_status(Path(name))
        if name in folders
        else set_status(name, verify=args.action == "check")
        for name in args.names or known
    ]
    if args.json:
        print(json.dumps([dataclasses.asdict(status) for status in found], indent=2, default=str))
    else:
        for status in found:
            print(_line(status))
    complete = all(status.ready for status in found)
    return 2 if args.action == "check" and args.names and not complete else 0


def _refuse_options(args: argparse.Namespace) -> None:
    """Those of another action."""
    from genlab.errors import UsageError

    if args.to is not None and args.action != "fetch":
        raise UsageError(f"--to says where to fetch: genlab data {args.action} takes none")
    for option, value in (("-o", args.output), ("--rows", args.rows), ("--format", args.format)):
        if value is not None and args.action != "shard":
            raise UsageError(
                f"{option} is of genlab data shard: genlab data {args.action} takes none"
            )


def _shard(args: argparse.Namespace) -> int:
    import json

    from genlab import __version__
    from genlab.components import build, check
    from genlab.config import compose
    from genlab.data import write_shards
    from genlab.errors import UsageError

    words = _words(args.names)
    sets = [w for w in words if w.startswith("data=")]
    surplus = [w for w in words if not w.startswith(("data=", "data."))] or sets[1:]
    if surplus or not sets or args.output is None:
        given = f"{surplus[0]}: " if surplus else ""
        raise UsageError(
            f"{given}genlab data shard takes one NAME or data=NAME, what that needs, and -o DIR: "
            "genlab data shard data=npz data.path=big.npz -o big"
        )
    node = compose(words).resolved["data"]
    check(node, "data")
    data = build(node, where="data")
    data.prepare_data()
    data.setup("fit")
    made = {"genlab": __version__, "words": words}
    index = write_shards(
        data, args.output, args.rows, made, "npy" if args.format is None else args.format
    )
    rows = {split: columns.x.rows for split, columns in index.splits.items()}
    if args.json:
        print(json.dumps({"path": str(args.output), "rows": rows}, indent=2))
    else:
        sizes = ", ".join(f"{split} {n:,}" for split, n in rows.items())
        print(f"{args.output}: {index.spec.name} ({index.spec.variant}), {sizes}")
    return 0


def _words(names: Sequence[str]) -> list[str]:
    """Of a configuration: a bare name that comes first, mnist or debd/plants, is that of a set."""
    from genlab.data import built_in_sets

    if not names or "=" in names[0]:
        return list(names)
    name, *rest = names
    if name not in built_in_sets():
        return [f"data={name}", *rest]
    group, *members = name.split("/")
    return [f"data={group}", *(f"data.name={member}" for member in members), *rest]


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
    shown = [f for f in status.files if len(status.files) <= MANY or f.state != "verified"]
    files = "; ".join(f"{f.name} {f.state}" for f in shown) or f"{len(status.files)} files verified"
    sources = dict.fromkeys(f.origin for f in status.files if f.path is None)
    origin = f" (from {', '.join(sources)})" if sources else ""
    return f"{status.name:<19} {shape:<8}  {files}{origin}"
