"""Show or check the configuration that a genlab train with these words would use.

genlab config show model=made data=digits
genlab config check model=made data=digits stages.fit.max_epochs=3
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "check"))
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    if args.action == "show":
        from genlab.config import compose

        print(_dump(compose(args.overrides).written, args.json))
        return 0
    from genlab.api import Plan

    plan = Plan(args.overrides)
    model, data = type(plan.model).__name__, plan.data.spec.name
    print(f"ok: {model} on {data}, {plan.parameters:,} parameters")
    return 0


def _dump(config: dict, as_json: bool) -> str:
    import json

    import yaml

    if as_json:
        return json.dumps(config, indent=2)
    return yaml.safe_dump(config, sort_keys=False).rstrip()
