"""A pass over a split in blocks: the same number for number on one process and on many.

The unit of work is a block of 64 consecutive rows with a random generator of its own, keyed by what it is
for and the block's number: noise depends neither on batch size nor on how many processes share the
blocks. Rank 0 gets every per-example value exactly once and counts them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from genlab.contracts import Batch, BatchSource, DataModule, GenlabError
from genlab.progress import progress
from genlab.randomness import generator

BLOCK = 64  # rows of an evaluation, draws of a sampler


@dataclass(frozen=True)
class Answer:
    """What was found of one block. values: (B, …) of its data by name. about: what else there is."""

    values: Mapping[str, Tensor]
    about: Any = None


class BlockPass(LightningModule, ABC):
    """Answers every block of a split. ``Trainer.test`` would pad the shards with duplicates.

    stream: what its random numbers are for; block b draws from ``generator(*stream, b)``.
    """

    def __init__(self, data: DataModule, split: str, stream: Sequence[str | int]) -> None:
        super().__init__()
        self.data, self.split, self.stream = data, split, tuple(stream)
        self._parts: list[tuple[Tensor, Answer]] = []

    def prepare(self) -> None:
        """Done on every rank before its first block."""

    @abstractmethod
    def answer(self, batch: Batch, noise: Generator) -> Answer:
        """Of one block, in eval mode."""

    @abstractmethod
    def finish(self, values: dict[str, np.ndarray], abouts: list[Any]) -> None:
        """Called once, on rank 0: every value (n, …) in the order of the rows, float64, and what
        was said about each block."""

    def by(self, trainer: Any) -> None:
        """Make the pass, on all processes of this trainer."""
        self.data.prepare_data()
        self.data.setup("test")
        with ExitStack() as self._meanwhile:
            trainer.predict(self, return_predictions=False)

    def predict_dataloader(self) -> DataLoader:
        dataset = self.data.dataset(self.split)
        blocks = _Blocks(dataset, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(_BlockSet(blocks), batch_size=None, collate_fn=lambda block: block)

    def on_predict_start(self) -> None:
        self.eval()
        self.prepare()
        total = -(-len(self.data.dataset(self.split)) // (BLOCK * self.trainer.world_size))
        self._advance = self._meanwhile.enter_context(progress(f"evaluate {self.split}", total))

    def predict_step(self, block: tuple[int, Batch], _index: int) -> Tensor:
        number, batch = block
        noise = generator(*self.stream, number, device=self.device)
        assert batch.index is not None, "a data set gives every row its index"
        self._parts.append((batch.index.cpu(), self.answer(batch, noise)))
        self._advance(len(self._parts), "blocks")
        return batch.index  # Lightning warns of a step that returns nothing

    def on_predict_epoch_end(self) -> None:
        self._meanwhile.close()
        parts = [_on_cpu(index, answer) for index, answer in self._parts]
        self._parts.clear()
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, parts)
            parts = [part for rank in gathered for part in rank]
        if self.trainer.is_global_zero:
            values = in_order(parts, len(self.data.dataset(self.split)))
            self.finish(values, [about for _, _, about in parts])


class _Blocks:
    """This rank's blocks of a split: every world-th, and the block's number with it."""

    def __init__(self, dataset: BatchSource, rank: int, world: int) -> None:
        self.dataset = dataset
        self.numbers = range(rank, -(-len(dataset) // BLOCK), world)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        for number in self.numbers:
            rows = torch.arange(number * BLOCK, min((number + 1) * BLOCK, len(self.dataset)))
            yield number, self.dataset[rows]

    def __len__(self) -> int:
        return len(self.numbers)


class _BlockSet(torch.utils.data.IterableDataset):
    def __init__(self, blocks: _Blocks) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        return iter(self.blocks)


Part = tuple[np.ndarray, dict[str, np.ndarray], Any]  # row numbers, values by name, about


def _on_cpu(index: Tensor, answer: Answer) -> Part:
    """A block's answer as arrays, which may travel between processes."""
    values = {k: v.detach().double().cpu().numpy() for k, v in answer.values.items()}
    return index.numpy(), values, answer.about


def in_order(parts: Sequence[Part], n: int) -> dict[str, np.ndarray]:
    """All rows in order. Raises GenlabError unless each of the n was scored exactly once."""
    index = np.concatenate([part[0] for part in parts])
    if not np.array_equal(np.sort(index), np.arange(n)):
        raise GenlabError(
            f"{len(np.unique(index))} of {n} data were scored, in {len(index)} values"
        )
    order = index.argsort()
    return {key: np.concatenate([part[1][key] for part in parts])[order] for key in parts[0][1]}
