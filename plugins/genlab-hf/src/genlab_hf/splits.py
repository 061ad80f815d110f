"""Which rows are for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from genlab.contracts import DataError, UsageError
from genlab.randomness import key
from genlab_hf.table import Table

USUAL = {"val": ("validation", "val", "valid", "dev"), "test": ("test",)}
BLOCK = 10_000  # rows that a pass over all of them reads at a time
HELD_OUT = 0.1  # of the training rows, for a split that the data set does not have


@dataclass(frozen=True)
class Part:
    """Rows of the split ``name`` of a data set: all of them, or rows: (N,) int64 in rising order."""

    table: Table
    name: str
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table) if self.rows is None else len(self.rows)

    def blocks(self, columns: list[str]) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Each row once, in order, in tables of at most BLOCK, and where its rows stand in the table."""
        found = self.table.select(columns)
        for first in range(0, len(self.table), BLOCK):
            stop = min(first + BLOCK, len(self.table))
            if self.rows is None:
                yield found[first:stop], np.arange(first, stop)
                continue
            own = self.rows[slice(*np.searchsorted(self.rows, [first, stop]))]
            if len(own):
                yield found[first:stop].take(pa.array(own - first)), own


def parts(found: dict[str, Table], names: dict[str, str | None], seed: int) -> dict[str, Part]:
    """train, val and test. They share no row, but for val and test that are given the same name.

    names: of the splits in the data set. None for val or test takes the usual name; where there is none
    of it, a tenth of the training rows is held out, drawn from seed.
    Raises DataError for a split that is not there, has no rows or has other columns than the training one.
    """
    chosen = {split: _chosen(split, name, found) for split, name in names.items()}
    for split in ("val", "test"):
        if chosen[split] == chosen["train"]:
            raise UsageError(
                f"data.{split}={chosen[split]} is what is trained on: give another split"
            )
    given = {split: found[name] for split, name in chosen.items() if name is not None}
    train = given["train"]
    for split, table in given.items():
        if table.features != train.features:
            raise DataError(
                f"{chosen[split]} has the columns {_shown(table)}, and {chosen['train']} has "
                f"{_shown(train)}: give data.{split}=NAME of another split"
            )
    missing = [split for split in chosen if split not in given]
    result = {split: Part(table, str(chosen[split])) for split, table in given.items()}
    if missing:
        share = int(len(train) * HELD_OUT)
        order = np.random.Generator(np.random.PCG64(key("held out", seed))).permutation(len(train))
        for split in missing:
            taken, order = order[:share], order[share:]
            result[split] = Part(train, str(chosen["train"]), np.sort(taken))
        result["train"] = Part(train, str(chosen["train"]), np.sort(order))
    for split, part in result.items():
        if not len(part):
            raise DataError(
                f"{len(train)} training rows leave none for {split}: give data.{split}=NAME of a split"
            )
    return result


def _chosen(split: str, name: str | None, found: dict[str, Table]) -> str | None:
    """The name of a split in the data set; None where it is to be held out."""
    if name is None:
        return next((usual for usual in USUAL[split] if usual in found), None)
    if name not in found:
        raise DataError(
            f"data.{split}={name}: there is no such split; the data set has {', '.join(found)}"
        )
    return name


def _shown(table: Table) -> str:
    fields = table.features.arrow_schema
    return ", ".join(f"{field.name} ({str(field.type).splitlines()[0]})" for field in fields)
