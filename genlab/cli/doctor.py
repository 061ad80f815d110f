"""Check this installation: versions, processors, data, packages known to break Lightning.

genlab doctor
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import json
    import os

    import torch

    from genlab.lightning_entry_points import broken_entry_points
    from genlab.plugins import plugins
    from genlab.runs import environment

    about = environment()
    about["threads"] = torch.get_num_threads()
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        about[name] = os.environ.get(name)
    about["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    about["GENLAB_DATA"] = os.environ.get("GENLAB_DATA")
    problems = [f"plugin {p.name}: {p.problem}" for p in plugins() if p.problem]
    problems += broken_entry_points()
    if args.json:
        print(json.dumps(about | {"problems": problems}, indent=2))
    else:
        for key, value in about.items():
            print(f"{key:<16} {value}")
        print("\n".join(problems) if problems else "no problems found")
    return 1 if problems else 0
