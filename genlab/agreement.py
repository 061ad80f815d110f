"""Whether a file of numbers says what the per-datum values beside it say.

A score has one mean, of ``nats``; answers have one for each of their values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from genlab.means import not_finite, standard_error

ROUNDING = 1e-9  # of a number; another machine adds in another order
RESIDUE = 1e-12  # of what was added up, where that cancels


def disagreement(content: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> str:
    """What differs, in words; "" where nothing does. values: those of the .npz, by name.

    Raises what a wrong shape makes Python raise.
    """
    if "nats" in content:
        return _of_mean(content, "nats", content["nats"], values) or _of_bits(content)
    means = content["values"]
    if means.keys() != values.keys():
        return f"it has means of {', '.join(means)}, and values of {', '.join(values)}"
    found = (_of_mean(content, name, mean, values) for name, mean in means.items())
    return next(filter(None, found), "")


def _of_mean(
    content: Mapping[str, Any], name: str, said: Mapping[str, Any], values: Mapping[str, np.ndarray]
) -> str:
    each = np.asarray(values[name], np.float64)
    if each.shape != (content["data"]["n"],):
        return f"it is of {content['data']['n']} data, and {name} has the shape {each.shape}"
    if said["mean"] is None:
        return "" if said["reason"] else f"it gives no mean of {name}, and no reason"
    if not_finite(each):
        return f"it gives a mean of {name}, and {not_finite(each)}"
    scale = float(np.abs(each).max())
    if not _same(said["mean"], float(each.mean()), scale):
        return f"its mean of {name} is {said['mean']}, and that of the values is {each.mean()}"
    if not _same(said["stderr"], standard_error(each), scale):
        return f"its standard error of {name} is {said['stderr']}, and not that of the values"
    return ""


def _of_bits(score: Mapping[str, Any]) -> str:
    """Bits per dimension are −nats / (D ln 2)."""
    bits, mean = score["bits_per_dim"], score["nats"]["mean"]
    if bits is None:
        return ""
    size = math.prod(score["data"]["spec"]["shape"])
    if mean is not None and _same(-bits * size * math.log(2), mean, abs(mean)):
        return ""
    return f"its bits per dimension, {bits}, are not those of its mean"


def _same(ours: float | None, theirs: float | None, scale: float) -> bool:
    """scale: of the numbers that these were computed from."""
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=ROUNDING, abs_tol=RESIDUE * scale)
