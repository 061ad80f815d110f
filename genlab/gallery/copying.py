"""Whether samples are nearer to training data than data are that the model has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.gallery.likely import TITLES

ALIKE = (0.4, 0.6)  # of pairs: about as far


@dataclass(frozen=True)
class Copying:
    """sentence: what the distances say. distances: of each sample to its nearest datum, in words."""

    sentence: str
    distances: tuple[str, ...]


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
    sentence = _sentence(of_samples, of_data, binary, entry)
    return Copying(sentence, tuple(_distance(value, binary) for value in of_samples))


def _distance(value: float, binary: bool) -> str:
    if value == 0:
        return "a copy of it"
    if binary:
        return f"{value:.0f} {'entry differs' if value == 1 else 'entries differ'}"
    return f"distance {value:.3g}"


def _sentence(samples: np.ndarray, data: np.ndarray, binary: bool, entry: Mapping[str, Any]) -> str:
    unseen = TITLES.get(str(entry["split"]), str(entry["split"]))
    nearer = float((samples[:, None] < data).mean() + 0.5 * (samples[:, None] == data).mean())
    low, high = ALIKE
    verdict = (
        "samples keep as far from the training data as data do that the model has not seen"
        if low <= nearer <= high
        else "samples are nearer to the training data than data that the model has not seen"
        if nearer > high
        else "samples are further from the training data than data that the model has not seen"
    )
    what = "entries that differ" if binary else "Euclidean distance"
    copies, of_data = int((samples == 0).sum()), int((data == 0).sum())
    exact = (
        f"{copies} of the {len(samples)} samples and {of_data} of the {len(data)} data are exact copies"
        if copies
        else "No sample is an exact copy"
    )
    return (
        f"The nearest of {int(entry['training']):,} training data is {np.median(samples):.3g} away from a "
        f"sample, and {np.median(data):.3g} from a datum of the {unseen} ({what}, medians of "
        f"{len(samples)}). Of a sample and such a datum the sample is the nearer one in "
        f"{100 * nearer:.0f} % of pairs, where 50 % would be no difference: {verdict}. {exact}."
    )
