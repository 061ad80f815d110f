"""List what there is to choose from, and which package it comes from.

genlab list
genlab list models
"""

from __future__ import annotations

import argparse

KINDS = {
    "models": "model",
    "schedules": "schedule",
    "denoisers": "denoiser",
    "networks": "network",
    "samplers": "sampler",
    "data": "data",
    "likelihoods": "likelihood",
    "metrics": "metric",
    "optimizers": "optimizer",
    "trainers": "trainer",
    "callbacks": "callbacks",
    "loggers": "logger",
    "experiments": "experiment",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", nargs="?", type=_plural, choices=[*KINDS, "plugins"], help="all by default"
    )
    parser.add_argument("--json", action="store_true")


def _plural(word: str) -> str:
    """``model`` is as good as ``models``."""
    return f"{word}s" if f"{word}s" in (*KINDS, "plugins") else word


def run(args: argparse.Namespace) -> int:
    import json

    from genlab.options import options

    if args.kind == "plugins":
        from genlab.cli import plugins

        return plugins.show([], args.json)
    kinds = [args.kind] if args.kind else list(KINDS)
    found = {
        kind: [
            {"name": o.word, "summary": o.summary, "distribution": o.distribution}
            for o in options(KINDS[kind])
        ]
        for kind in kinds
    }
    print(json.dumps(found, indent=2) if args.json else _table(found))
    return 0


def _table(found: dict[str, list[dict[str, str]]]) -> str:
    lines = []
    for kind, entries in found.items():
        lines.append(f"{kind} ({KINDS[kind]}=…)")
        width = max((len(e["name"]) for e in entries), default=0)
        for e in entries:
            source = "" if e["distribution"] == "genlab" else f"  [{e['distribution']}]"
            lines.append(f"  {e['name']:<{width}}  {e['summary']}{source}")
        lines.append("")
    return "\n".join(lines).rstrip()
