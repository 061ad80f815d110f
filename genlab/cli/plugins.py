"""List the installed packages that add models, data or likelihoods to genlab.

genlab plugins list
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list",))
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    return show(args.json)


def show(as_json: bool) -> int:
    import json

    from genlab.config import GROUPS
    from genlab.options import options
    from genlab.plugins import plugins

    added = [o for group in GROUPS for o in options(group)]
    found = [
        {
            "name": p.name,
            "distribution": p.distribution,
            "version": p.version,
            "status": p.status,
            "adds": [f"{o.group}={o.word}" for o in added if o.tree.name == p.name and p.used],
        }
        for p in plugins()
    ]
    if as_json:
        print(json.dumps(found, indent=2))
    elif not found:
        print("no plugins are installed")
    else:
        for p in found:
            print(f"{p['name']}  {p['distribution']} {p['version']}  {p['status']}  {p['adds']}")
    return 0
