"""How data become batches: whole batches by one indexing operation, in an order that can be resumed.

The order is a function of (seed, epoch) alone; rank r of w takes every w-th row of it. Nothing is
restored from a generator's state: a position in the epoch is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from genlab.randomness import generator


def shuffled(dataset: Any, generator: torch.Generator) -> Tensor:
    """(N,) int64: each row once, in the order of the data set's own ``order`` where it has one."""
    own = getattr(dataset, "order", None)
    return torch.randperm(len(dataset), generator=generator) if own is None else own(generator)


class BatchSampler(DistributedSampler):
    """Yields (batch_size,) int64 row indices, a batch at a time.

    shuffle: training: a new permutation each epoch, and every rank gets the same number of rows (the
    first rows of the permutation are repeated where they do not divide). Without it: each row exactly
    once over all ranks, in order.
    """

    def __init__(
        self, dataset: Any, batch_size: int, shuffle: bool, seed: int, rank: int, world: int
    ) -> None:
        super().__init__(dataset, world, rank, shuffle=shuffle, seed=seed)
        self.batch_size = batch_size
        self.first = (
            0  # batches of the coming epoch to leave out, as they were seen before a resume
        )

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        redraw = getattr(self.dataset, "set_epoch", None)
        if redraw is not None:
            redraw(epoch)

    def rows(self) -> Tensor:
        """This rank's rows of the current epoch, in order."""
        n = len(self.dataset)  # type: ignore[arg-type]
        if not self.shuffle:
            return torch.arange(self.rank, n, self.num_replicas)
        order = shuffled(self.dataset, generator("order", self.seed, self.epoch))
        return order[torch.arange(self.rank, self.total_size, self.num_replicas) % n]

    def __iter__(self) -> Iterator[Tensor]:
        """A generator: torch's loader with workers asks for two iterators and uses the second."""
        first, self.first = self.first, 0
        yield from self.rows().split(self.batch_size)[first:]

    def __len__(self) -> int:
        whole = len(self.dataset)  # type: ignore[arg-type]
        rows = self.num_samples if self.shuffle else len(range(self.rank, whole, self.num_replicas))
        return -(-rows // self.batch_size)


class Loader(DataLoader):
    """A DataLoader that hands out what ``dataset[rows]`` returns, and knows where it is in the epoch."""

    def __init__(self, dataset: Any, sampler: BatchSampler, num_workers: int = 0) -> None:
        super().__init__(
            dataset, batch_size=None, sampler=sampler, collate_fn=_identity, num_workers=num_workers
        )
        self._position = 0

    def __iter__(self) -> Iterator[Any]:
        self._position = self.sampler.first  # type: ignore[union-attr]
        for batch in self._batches():
            self._position += 1
            yield batch

    def _batches(self) -> Iterator[Any]:
        """Without workers, straight from the data: DataLoader's own iterator costs 30 µs a batch."""
        if self.num_workers:
            return super().__iter__()
        return map(self.dataset.__getitem__, self.sampler)

    def check_worker_number_rationality(self) -> None:
        """No warning of torch's: more workers than processors are right for what is fetched from afar."""

    def state_dict(self) -> dict[str, int]:
        return {"position": self._position % max(1, len(self))}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._position = self.sampler.first = state["position"]  # type: ignore[union-attr]


def _identity(batch: Any) -> Any:
    return batch
