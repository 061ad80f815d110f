"""What every file of numbers says of itself: of which data they are, and with which versions and when they
were made. Schema 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from genlab.contracts import DataModule
from genlab.data import fingerprint
from genlab.runs import now, versions


def signed(data: DataModule, split: str, n: int, content: Mapping[str, Any]) -> dict[str, Any]:
    """content, of n data of a split, with all of that."""
    spec = data.spec
    of = {
        "name": spec.name,
        "variant": spec.variant,
        "split": split,
        "n": n,
        "spec": dataclasses.asdict(spec),
        "sha256": fingerprint(data, split),
    }
    return {"schema": 1, "data": of, **content, "versions": versions(), "created": now()}
