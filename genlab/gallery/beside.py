"""A run beside others on the same data: which is better, as far as numbers of different kinds tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from genlab.gallery.views import RunView, ScoreView


@dataclass(frozen=True)
class Beside:
    """One line of the table. slug: of the run's page. verdict: how the run of this page is beside it, empty
    for that run itself.
    """

    slug: str
    model: str
    name: str
    number: str
    verdict: str


def beside(view: RunView, others: Iterable[RunView]) -> list[Beside]:
    """The runs that were scored on the same data, this one among them, by their numbers; empty where there
    is no other.
    """
    own = view.headline
    if own is None:
        return []
    scored = [
        (other.headline.nll, other.slug, other, other.headline)
        for other in others
        if other.headline is not None and other.headline.subject == own.subject
    ]
    found = []
    for _, slug, other, score in sorted(scored, key=lambda each: each[:2]):
        said = "" if slug == view.slug else verdict(own, score)
        found.append(Beside(slug, other.model, other.name, score.number, said))
    return found if len(found) > 1 else []


def verdict(own: ScoreView, other: ScoreView) -> str:
    """How own is beside other: "better" and "worse" only where numbers and errors allow nothing else.

    Two standard errors count, those of two independent sets of data: the same data leave less room.
    """
    if "estimate" in (own.guarantee, other.guarantee):
        return "undecided (an estimate)"
    margin = 2 * math.hypot(own.stderr, other.stderr)
    if own.high + margin < other.low:
        return "better"
    if other.high + margin < own.low:
        return "worse"
    if math.isinf(margin):
        return "undecided (no error is known)"
    if own.guarantee == other.guarantee == "exact":
        return "no difference seen"
    return "undecided (a bound)"
