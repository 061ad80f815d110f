"""How likely a model finds test data, training data and its own samples: a histogram, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genlab.gallery.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick, round_steps

BINS = 20
REST = 0.005  # of each set may lie beyond either end of the axis
TITLES = {"test": "test data", "val": "validation data", "train": "training data"}
SLACK = "These are no exact numbers, and how far off they are may differ between the two."
ORDER = ("test", "val", "train", "samples")


@dataclass(frozen=True)
class Outline:
    """One set. points: for an SVG polyline. mean: in nats, with its standard error."""

    name: str
    points: str
    style: int
    mean: str
    n: int


@dataclass(frozen=True)
class Histogram:
    """nats: of each sample, in the order in which they are shown. seed: of the samples."""

    lines: tuple[Outline, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_label: str
    y_label: str
    sentence: str
    nats: tuple[float, ...]
    seed: int


def histogram(sets: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Histogram:
    """sets: (n,) nats of each; about: split, guarantee, measure and method of the numbers, and the
    samples' seed.

    Raises ValueError where there is nothing to draw.
    """
    known = [(name, sets[name].astype(float)) for name in ORDER if name in sets]
    if not known or any(x.ndim != 1 or not len(x) or not np.isfinite(x).all() for _, x in known):
        raise ValueError("it holds no finite log-likelihoods")
    edges = _edges([x for _, x in known], mass=about["measure"] == "mass")
    shares = [_shares(x, edges) for _, x in known]
    high = 1.05 * max(share.max() for share in shares)
    return Histogram(
        tuple(
            Outline(TITLES.get(name, name), _outline(share, high), style, _mean(x), len(x))
            for style, ((name, x), share) in enumerate(zip(known, shares, strict=True), 1)
        ),
        tuple(
            Tick(round(_across(value, edges), 1), f"{value:,.4g}")
            for value in round_steps(edges[0], edges[-1])
        ),
        tuple(
            Tick(round(_up(value, high), 1), f"{100 * value:g} %") for value in round_steps(0, high)
        ),
        f"log p of a datum in nats ({about['guarantee']})",
        "share of each set",
        _sentence(dict(known), str(about["split"]), exact=about["guarantee"] == "exact"),
        tuple(float(value) for value in sets["samples"]) if "samples" in sets else (),
        int(about.get("seed", 0)),
    )


def _edges(sets: list[np.ndarray], *, mass: bool) -> np.ndarray:
    """mass: of probabilities, whose logarithm is at most 0."""
    low = min(np.quantile(x, REST) for x in sets)
    high = max(np.quantile(x, 1 - REST) for x in sets)
    room = 0.02 * (high - low) or 0.5
    end = min(high + room, 0.0) if mass and high < 0 else high + room
    return np.linspace(low - room, end, BINS + 1)


def _shares(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Of the set, in each bin; what lies beyond an end is counted in the last bin there."""
    counts, _ = np.histogram(np.clip(x, edges[0], edges[-1]), edges)
    return counts / len(x)


def _outline(shares: np.ndarray, high: float) -> str:
    edges = np.linspace(LEFT, WIDTH - RIGHT, BINS + 1)
    corners = [(edges[0], 0.0)]
    for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True):
        corners += [(left, share), (right, share)]
    corners.append((edges[-1], 0.0))
    return " ".join(f"{x:.1f},{_up(y, high):.1f}" for x, y in corners)


def _across(value: float, edges: np.ndarray) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (value - edges[0]) / (edges[-1] - edges[0])


def _up(share: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / high)


def _error(x: np.ndarray) -> float:
    return float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")


def _mean(x: np.ndarray) -> str:
    return f"{x.mean():.2f} ± {_error(x):.2f}" if len(x) > 1 else f"{x.mean():.2f}"


def _sentence(sets: Mapping[str, np.ndarray], split: str, *, exact: bool) -> str:
    """What the means say of overfitting, and of samples; nothing where a set is too small for an error."""
    held_out = sets.get(split)
    if held_out is None:
        return ""
    said, unseen = [], TITLES.get(split, split)
    if "train" in sets and split != "train":
        said.append(_overfits(*_gap(sets["train"], held_out), unseen))
    if "samples" in sets:
        own = _own(*_gap(sets["samples"], held_out), f"its {len(sets['samples'])} samples", unseen)
        said.append(f"{own} {'' if exact else SLACK}".strip() if own else "")
    return " ".join(filter(None, said))


def _overfits(gap: float, error: float, unseen: str) -> str:
    if np.isnan(error):
        return ""
    if gap > 2 * error:
        return (
            f"It finds its training data likelier than {unseen}, by {gap:.2f} ± {error:.2f} nats: by so "
            "much it overfits."
        )
    if gap < -2 * error:
        return (
            f"It finds its training data less likely than {unseen}, by {-gap:.2f} ± {error:.2f} nats: the "
            "two are different data, and it does not overfit."
        )
    return (
        f"Between its training data and {unseen} no difference is seen ({gap:.2f} ± {error:.2f} nats), and "
        "so no overfitting."
    )


def _own(gap: float, error: float, own: str, unseen: str) -> str:
    """A model that is right finds samples and data that it has not seen equally likely on average."""
    if np.isnan(error):
        return ""
    if not abs(gap) > 2 * error:
        return (
            f"Between {own} and {unseen} no difference is seen ({gap:.2f} ± {error:.2f} nats): a good "
            "model has none, but so may a bad one."
        )
    side = "likelier" if gap > 0 else "less likely"
    return (
        f"It finds {own} {side} than {unseen}, by {abs(gap):.2f} ± {error:.2f} nats; the correct model "
        "would find no difference."
    )


def _gap(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """By how much the mean of a is above that of b, and its standard error."""
    return a.mean() - b.mean(), float(np.hypot(_error(a), _error(b)))
