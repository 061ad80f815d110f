"""Files of sample quality: a metric's numbers with everything that is needed to believe them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.api.signature import signed
from genlab.blocks import BLOCK
from genlab.contracts import DataModule
from genlab.metrics import Measured
from genlab.metrics.base import Values
from genlab.runs import RunDirectory, digest, write_json


def write_quality(
    run: RunDirectory,
    data: DataModule,
    split: str,
    measured: Measured,
    seed: int,
    about: Mapping[str, Any],
    sampler: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write one metric's numbers and return what was written. There is no NaN in it.

    seed: of the samples and of the metric. about: checkpoint, and the like. sampler: None is the model's
    own.
    """
    drawn = {"n": measured.n, "seed": seed, "block": BLOCK}
    metric = measured.metric
    asked = {
        "metric": {"name": metric.name, "parameters": metric.settings, "shown": list(metric.shown)},
        "samples": drawn if sampler is None else drawn | {"sampler": dict(sampler)},
        "features": {"name": measured.features.name, "accuracy": measured.features.accuracy},
    }
    content = {
        **asked,
        "values": _plain(measured.values),
        "reference": {"of": "training data", "values": _plain(measured.reference)},
        **about,
        "seconds": round(measured.seconds, 2),
    }
    quality = signed(data, split, measured.n, content)
    write_json(_file(run, split, metric.name, asked), quality)
    return quality


def _file(run: RunDirectory, split: str, name: str, asked: Mapping[str, Any]) -> Path:
    return run.metrics / f"{split}-{name}-{digest(asked)[:8]}.json"


def _plain(values: Values) -> dict[str, float | None]:
    """What is not finite is None."""
    return {
        key: value if value is not None and math.isfinite(value) else None
        for key, value in values.items()
    }
