"""Whether samples are nearer to training data than data are that the model has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.gallery.likely import TITLES

TOO_COARSE = 0.25  # an error of a share that lies between 0 and 1
LIKE_COPIES = "as copies would, and as blurred ones do"
NEAR, FAR = 2.0, 3.0  # standard errors: what chance exceeds now and then, and hardly ever
COLLAPSED = 0.25  # of the different nearest training data that as many unseen data have


@dataclass(frozen=True)
class Copying:
    """verdict: whether the samples are copies. certain: whether some of them are. sentence: what the
    distances say. collapse: that the samples are all alike, if they are.

    distances: of each sample to its nearest datum, in words. seed: of the samples.
    """

    verdict: str
    certain: bool
    sentence: str
    collapse: str
    distances: tuple[str, ...]
    seed: int


def copying(entry: Mapping[str, Any]) -> Copying:
    """entry: of nearest.json. Raises KeyError, TypeError, ValueError or OverflowError where it
    is none."""
    of_samples, of_data = (np.asarray(entry[key], float) for key in ("samples", "held out"))
    for distances in (of_samples, of_data):
        if distances.ndim != 1 or not distances.size or not np.isfinite(distances).all():
            raise ValueError("it holds no distances")
    binary = entry["support"] == "binary"
    if binary:
        of_samples, of_data = np.rint(of_samples**2), np.rint(of_data**2)
    collapse = _collapse(entry)
    verdict = _verdict(of_samples, of_data, _unseen(entry), collapsed=bool(collapse))
    sentence = _sentence(of_samples, of_data, binary, entry)
    distances = tuple(_distance(value, binary) for value in of_samples)
    certain = _some_are_copies(of_samples, of_data, FAR)
    return Copying(verdict, certain, sentence, collapse, distances, int(entry.get("seed", 0)))


def _collapse(entry: Mapping[str, Any]) -> str:
    """That samples share their nearest training data, which as many unseen data do not."""
    different = entry.get("different")
    if different is None:
        return ""
    n, of_samples, of_data = (int(different[key]) for key in ("of", "samples", "held out"))
    if of_samples > COLLAPSED * of_data:
        return ""
    shared = "datum" if of_samples == 1 else "data"
    return (
        f"Its samples are nearly all alike (mode collapse): {n} of them share {of_samples} nearest "
        f"training {shared}, where {n} {_unseen(entry)} have {of_data}."
    )


def _unseen(entry: Mapping[str, Any]) -> str:
    return TITLES.get(str(entry["split"]), str(entry["split"]))


def _distance(value: float, binary: bool) -> str:
    if value == 0:
        return "a copy of it"
    if binary:
        return f"{value:.0f} {'entry differs' if value == 1 else 'entries differ'}"
    return f"distance {value:.3g}"


def _sentence(samples: np.ndarray, data: np.ndarray, binary: bool, entry: Mapping[str, Any]) -> str:
    unseen = _unseen(entry)
    share, error = _nearer(samples, data)
    a, b = (f"{np.median(distances):.3g}" for distances in (samples, data))
    unit = "entries that differ" if binary else "Euclidean distance"
    return (
        f"The nearest of {_training(entry)} training data is {a} away "
        f"from a sample and {b} from one of the {unseen} ({unit}, medians of {len(samples)}). Of such "
        f"a pair, the sample is the nearer one in {100 * share:.0f} ± {100 * error:.0f} % of cases, where "
        f"50 % is no difference. {_exact(samples, data, unseen)}"
    )


def _training(entry: Mapping[str, Any]) -> str:
    all_of_them, looked_at = int(entry["training"]), int(entry.get("looked_at", entry["training"]))
    if looked_at == all_of_them:
        return f"{all_of_them:,}"
    return f"{looked_at:,} of the {all_of_them:,}"


def _verdict(samples: np.ndarray, data: np.ndarray, unseen: str, *, collapsed: bool) -> str:
    share, error = _nearer(samples, data)
    if error > TOO_COARSE:
        return "There are too few samples to tell whether it copies."
    if _some_are_copies(samples, data, NEAR):
        return f"It copies: more samples than {unseen} equal a training datum."
    if collapsed:
        return "Of samples that are all alike, nearness says nothing of copying."
    if share > 0.5 + NEAR * error:
        return f"Samples lie nearer to the training data than {unseen} do, {LIKE_COPIES}."
    how = "further from" if share < 0.5 - NEAR * error else "no nearer to"
    return f"No sign of copying: these samples lie {how} the training data than {unseen} do."


def _nearer(samples: np.ndarray, data: np.ndarray) -> tuple[float, float]:
    """The share of pairs whose sample is nearer, ties counting half, and its error where there is no
    difference (Mann & Whitney 1947)."""
    share = float((samples[:, None] < data).mean() + 0.5 * (samples[:, None] == data).mean())
    n, m = len(samples), len(data)
    return share, math.sqrt((n + m + 1) / (12 * n * m))


def _some_are_copies(samples: np.ndarray, data: np.ndarray, errors: float) -> bool:
    shares = float((samples == 0).mean()), float((data == 0).mean())
    return copies_more(*shares, len(samples), len(data), errors)


def copies_more(copies: float, of_data: float, n: int, m: int, errors: float) -> bool:
    """Whether the share of copies among n samples is above that among m data by so many errors, those of
    no difference."""
    both = (n * copies + m * of_data) / (n + m)
    return copies - of_data > errors * math.sqrt(both * (1 - both) * (1 / n + 1 / m))


def _exact(samples: np.ndarray, data: np.ndarray, unseen: str) -> str:
    copies, of_data = int((samples == 0).sum()), int((data == 0).sum())
    if not copies:
        return "No sample equals one of these training data."
    return (
        f"{copies} of the {len(samples)} samples {'equals' if copies == 1 else 'equal'} one of these "
        f"training data, and so {'does' if of_data == 1 else 'do'} {of_data} of {len(data)} {unseen}."
    )
