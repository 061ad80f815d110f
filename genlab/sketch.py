"""A few numbers by which data are known again: other files, rows or orders of rows give others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from genlab.contracts import DataModule, GenlabError, UsageError
from genlab.randomness import generator
from genlab.together import processes

SPLITS = ("train", "val")  # those that training reads
ROWS = 1000  # of each that are looked at, spread over it
CLOSE = 1e-3  # processors round differently


def sketch(data: DataModule, splits: Sequence[str] = SPLITS) -> dict[str, list[float]]:
    """Of each split: how many data there are, and a random combination of the values of some, and of their
    labels, with weights of mean square 1/n. Raises DataError for what cannot be read.
    """
    data.prepare_data()
    data.setup("fit" if "train" in splits else "test")
    return {split: _numbers(data, split) for split in splits}


def _numbers(data: DataModule, split: str) -> list[float]:
    dataset = data.dataset(split)
    n = len(dataset)
    batch = dataset[torch.linspace(0, n - 1, min(n, ROWS), dtype=torch.float64).round().long()]
    x = batch.x.cpu().flatten(1).double().nan_to_num(0.0, 0.0, 0.0)
    of_rows = x @ _weights(x.shape[1])
    found = [of_rows] if batch.label is None else [of_rows, batch.label.cpu().double()]
    sums = [(each @ _weights(len(x))).nan_to_num(0.0, 0.0, 0.0) for each in found]
    return [n, *(round(float(each), 6) for each in sums)]


def _weights(n: int) -> Tensor:
    noise = torch.randn(n, generator=generator("sketch", n), dtype=torch.float64)
    return noise / math.sqrt(n)


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In words, what ours is of and theirs is not; empty where they are of the same data."""
    for split in theirs:
        a, b = ours[split], theirs[split]
        if a[:1] != b[:1]:
            return f"{a[0] if a else 0:,} {split} data, not {b[0] if b else 0:,}"
        if len(a) != len(b) or not all(map(_alike, a, b)):
            return f"other {split} data, or in another order"
    return ""


def _alike(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)


def require_one(data: DataModule, splits: Sequence[str] = SPLITS) -> None:
    """Every process must call this. Raises UsageError on all of them unless they read the same."""
    world, _ = processes()
    if world == 1:
        return
    found: list[Any] = [None] * world
    distributed.all_gather_object(found, _own(data, splits))
    for rank, each in enumerate(found):
        if isinstance(each, str):
            raise UsageError(f"the process of rank {rank} cannot read the data: {each}")
        if words := difference(each, found[0]):
            raise UsageError(
                f"the process of rank {rank} reads other data than that of rank 0 ({words}): let paths and "
                "GENLAB_DATA lead to the same files on every machine"
            )


def _own(data: DataModule, splits: Sequence[str]) -> dict[str, list[float]] | str:
    """A sketch, or why there is none."""
    try:
        return sketch(data, splits)
    except GenlabError as error:
        return str(error)
