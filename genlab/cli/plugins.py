"""Installed packages that add models, data, likelihoods or metrics: list, try, write or check them.

genlab plugins list                        what is installed, and what it adds
genlab plugins doctor [NAME…]              import each in a process of its own: errors, time, side effects
genlab plugins new NAME --kind metric      write a package to start from: model, data, likelihood or metric
genlab plugins check NAME…                 the conformance suite on everything that a plugin adds
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.plugins import Plugin
    from genlab.probe import Finding

KINDS = ("model", "data", "likelihood", "metric")
ACTIONS = ("list", "doctor", "new", "check")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of plugins or their distributions"
    )
    parser.add_argument("--kind", choices=KINDS, help="what a new package adds; model by default")
    parser.add_argument("-o", "--output", metavar="DIR", help="where a new package is written")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    if args.action == "new":
        return new(args.names, args.kind or "model", args.output or ".")
    if args.kind or args.output:
        from genlab.errors import UsageError

        raise UsageError(f"--kind and -o go with genlab plugins new, not {args.action}")
    return {"list": show, "doctor": doctor, "check": check}[args.action](args.names, args.json)


def show(names: list[str], as_json: bool) -> int:
    import json

    from genlab.plugins import named

    found = [_about(plugin) for plugin in named(names)]
    if as_json:
        print(json.dumps(found, indent=2))
    elif not found:
        print("no plugins are installed")
    else:
        for p in found:
            print(f"{p['name']}  {p['distribution']} {p['version']}  {p['status']}")
            print(f"    {' '.join(p['adds']) or 'adds nothing'}")
            for name, others in p["also_by"].items():
                print(f"    {name}: also offered by {' and '.join(others)}")
    return 0


def doctor(names: list[str], as_json: bool) -> int:
    """Exit code 3 where one cannot be imported or read, does something besides, or is not used."""
    import json

    from genlab.lightning_entry_points import broken_entry_points
    from genlab.plugins import named
    from genlab.probe import probe

    found = {plugin: probe(plugin) for plugin in named(names) if not plugin.disabled}
    others = broken_entry_points()
    if as_json:
        about = [_about(plugin) | vars(finding) for plugin, finding in found.items()]
        print(json.dumps({"plugins": about, "others": others}, indent=2))
    else:
        lines = [*(_diagnosis(p, f) for p, f in found.items()), *others]
        print("\n".join(lines) or "no plugins are installed")
    return 0 if all(f.healthy for f in found.values()) and not others else 3


def new(names: list[str], kind: str, folder: str) -> int:
    from pathlib import Path

    from genlab.errors import UsageError
    from genlab.scaffold import write

    if len(names) != 1:
        raise UsageError("name one package to write: genlab plugins new NAME")
    target = write(names[0], kind, Path(folder))
    print(f"{target}: to install and check it, type")
    where = target if target.is_absolute() else f"./{target}"
    print(f"  pip install -e '{where}[test]'")
    print(f"  genlab plugins check {names[0]}")
    return 0


def check(names: list[str], as_json: bool) -> int:
    """Exit code 3 where a check fails, and where none ran."""
    import json
    from dataclasses import asdict

    from genlab.errors import UsageError
    from genlab.plugins import named
    from genlab.testing.installed import reports
    from genlab.testing.report import Status

    if not names:
        raise UsageError("name a plugin to check; genlab plugins list shows them")
    found = []
    for plugin in named(names):
        for report in reports(plugin):
            found.append(report)
            if not as_json:
                print(f"{report.model}\n{report}\n", flush=True)
    ran, failed = sum(r.ran for r in found), sum(len(r.failed) for r in found)
    skipped = sum(len(r.of(Status.SKIPPED)) for r in found)
    if as_json:
        print(
            json.dumps(
                {"ran": ran, "failed": failed, "options": [asdict(r) for r in found]}, indent=2
            )
        )
    else:
        print(f"{ran} checks ran, {failed} failed, {skipped} were skipped")
    return 0 if found and all(r.passed for r in found) else 3


def _about(plugin: Plugin) -> dict[str, Any]:
    from genlab.options import added_by
    from genlab.readable import faults

    added = [o for o in added_by(plugin.name) if plugin.used]
    unreadable = iter(faults(plugin.folder) if plugin.used and plugin.folder else ())
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": next(unreadable, plugin.status),
        "adds": [f"{o.group}={o.word}" for o in added],
        "also_by": {f"{o.group}={o.name}": o.also_by for o in added if o.also_by},
    }


def _diagnosis(plugin: Plugin, finding: Finding) -> str:
    time = "" if finding.seconds is None else f"  imported in {finding.seconds:.2f} s"
    lines = [f"{plugin.name}  {plugin.distribution} {plugin.version}{time}"]
    if finding.error:
        lines.append(f"    {finding.error}" + (f"  ({finding.where})" if finding.where else ""))
    lines += [f"    its import changes {what}" for what in finding.changed]
    lines += [f"    {fault}" for fault in finding.unreadable]
    return "\n".join(lines if len(lines) > 1 else [f"{lines[0]}  ok"])
