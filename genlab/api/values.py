"""The per-datum values behind a file of numbers, as .npz beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genlab.runs import atomic
from genlab.sums import file_digest


def write_values(path: Path, values: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write them, by name, beside the JSON at this path; the entry that the JSON then has of them."""
    beside = path.with_suffix(".npz")
    with atomic(beside) as file:
        np.savez_compressed(file, **values)  # type: ignore[arg-type]
    return {"npz_sha256": file_digest(beside)}
