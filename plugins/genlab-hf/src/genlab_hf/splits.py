"""Which rows are for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from genlab.contracts import DataError
from genlab.randomness import key

USUAL = {"val": ("validation", "val", "valid", "dev"), "test": ("test",)}
BLOCK = 10_000  # rows that a pass over all of them reads at a time
HELD_OUT = 0.1  # of the training rows, for a split that the data set does not have


@dataclass(frozen=True)
class Part:
    """Rows of a split of ``datasets``: all of them, or rows: (N,) int64 in rising order."""

    dataset: Dataset
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.dataset) if self.rows is None else len(self.rows)

    def tables(self, columns: list[str]) -> Any:
        """These columns of the whole split as a Dataset whose rows come as Arrow tables."""
        return self.dataset.select_columns(columns).with_format("arrow")

    def blocks(self, columns: list[str]) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Each row once, in order, in tables of at most BLOCK, and where its rows stand in the split."""
        mine = np.full(len(self.dataset), self.rows is None)
        if self.rows is not None:
            mine[self.rows] = True
        first = 0
        for table in self.tables(columns).iter(BLOCK):
            own = np.flatnonzero(mine[first : first + len(table)])
            if len(own):
                yield table.take(own), first + own
            first += len(table)


def parts(found: dict[str, Dataset], names: dict[str, str | None], seed: int) -> dict[str, Part]:
    """train, val and test, which share no row.

    names: of the splits in the data set. None for val or test takes the usual name; where there is none
    of it, a tenth of the training rows is held out, drawn from seed.
    Raises DataError for a split that is not there, has no rows or has other columns than the training one.
    """
    chosen = {split: _chosen(split, name, found) for split, name in names.items()}
    given = {split: found[name] for split, name in chosen.items() if name is not None}
    train = given["train"]
    for split, dataset in given.items():
        if dataset.features != train.features:
            raise DataError(
                f"{chosen[split]} has the columns {_shown(dataset)}, and {chosen['train']} has "
                f"{_shown(train)}: give data.{split}=NAME of another split"
            )
    missing = [split for split in chosen if split not in given]
    result = {split: Part(dataset) for split, dataset in given.items()}
    if missing:
        share = int(len(train) * HELD_OUT)
        order = np.random.Generator(np.random.PCG64(key("held out", seed))).permutation(len(train))
        for split in missing:
            taken, order = order[:share], order[share:]
            result[split] = Part(train, np.sort(taken))
        result["train"] = Part(train, np.sort(order))
    for split, part in result.items():
        if not len(part):
            raise DataError(
                f"{len(train)} training rows leave none for {split}: give data.{split}=NAME of a split"
            )
    return result


def _chosen(split: str, name: str | None, found: dict[str, Dataset]) -> str | None:
    """The name of a split in the data set; None where it is to be held out."""
    if name is None:
        return next((usual for usual in USUAL[split] if usual in found), None)
    if name not in found:
        raise DataError(
            f"data.{split}={name}: there is no such split; the data set has {', '.join(found)}"
        )
    return name


def _shown(dataset: Dataset) -> str:
    fields = dataset.features.arrow_schema
    return ", ".join(f"{field.name} ({str(field.type).splitlines()[0]})" for field in fields)
