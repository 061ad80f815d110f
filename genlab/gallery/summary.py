"""Likelihoods at a glance: one table for each data set, in it one kind of number after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genlab.gallery.scores import Group
from genlab.gallery.sheets import Compared, Sheet, cells, remarks

HEADER = ("model", "NLL (nats)", "log-likelihood", "parameters", "run")
NUMERIC = ("NLL (nats)", "parameters")


def summaries(found: Compared) -> list[Sheet]:
    """Numbers of one kind are ranked; the kinds stand in order of trust, not ranked against each other."""
    together: dict[tuple[Any, ...], list[Group]] = {}
    for group in found.scores:
        key = group.data, group.variant, group.split, group.n, group.measure, group.given
        together.setdefault((*key, group.floor), []).append(group)
    return [_of_data(groups) for groups in together.values()]


def _of_data(groups: Sequence[Group]) -> Sheet:
    one = groups[0]
    given = f", given the {one.given}" if one.given else ""
    floor = ("independent entries", f"{one.floor:.2f}", "exact", "", "") if one.floor else ()
    rows = [row for group in groups for row in _of_kind(group)]
    return Sheet(
        f"{one.data} ({one.variant}), {one.split}, n={one.n}; {one.measure}{given}",
        "",
        HEADER,
        NUMERIC,
        [floor, *rows] if floor else rows,
        [],
        list(dict.fromkeys(line for group in groups for line in remarks(group))),
    )


def _of_kind(group: Group) -> list[tuple[str, ...]]:
    kind = f"estimate by {group.estimator}" if group.estimator else group.guarantee
    found = [cells(row, group) for row in group.rows]
    return [(model, number, kind, size, run) for model, number, _, _, size, run in found]
