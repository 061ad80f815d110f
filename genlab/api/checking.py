"""``python -m genlab.api.checking``: would these trainings begin? For parents that do without torch.

It reads ``{"points": [[word, …], …], "trusted": [prefix, …]}`` and writes a line of JSON for each point,
``{"fingerprint", "settings", "processes", "lacking", "model", "data", "validates"}``, or ``{"error",
"code"}`` and no more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from genlab.api.plan import Plan
from genlab.api.selection import candidates, kind_of
from genlab.contracts import GenlabError, UsageError
from genlab.errors import in_words
from genlab.runs import digest
from genlab.targets import allow_targets


def main() -> None:
    asked, out, read = json.load(sys.stdin), sys.stdout, set[str]()
    with redirect_stdout(sys.stderr):
        allow_targets(asked["trusted"])
        for words in asked["points"]:
            said = checked(words, read)
            print(json.dumps(said), file=out, flush=True)
            if "error" in said:
                return


def checked(words: Sequence[str], read: set[str]) -> dict[str, Any]:
    """What a training of these words would begin with, or why it would not.

    read: hashes of data that were found whole; those of this point are added.
    """
    try:
        plan = Plan(words)
        _require_own_processes(plan)
        candidates(plan)
        data = digest([plan.composed.resolved["data"], plan.splits])
        if data not in read:
            plan.read_data()
            read.add(data)
    except GenlabError as error:
        return {"error": str(error), "code": error.code}
    except Exception as error:
        return {"error": in_words(error), "code": 1}
    return {
        "fingerprint": plan.fingerprint,
        "settings": digest(plan.composed.record),
        "processes": plan.settings.processes,
        "lacking": plan.settings.lacking,
        "model": type(plan.model).__name__,
        "data": kind_of(plan.data.spec),
        "validates": plan.validates,
    }


def _require_own_processes(plan: Plan) -> None:
    launcher = plan.settings.launcher
    if launcher != "genlab":
        raise UsageError(
            f"trainer={launcher}: a point or a trial is a process of its own, which genlab starts: choose "
            "trainer=ddp for several, or --launcher submitit for jobs of a cluster"
        )


if __name__ == "__main__":
    main()
