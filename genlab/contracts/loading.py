"""How data become batches: whole batches by one indexing operation, in an order that can be resumed.

The order is a function of (seed, epoch) alone; rank r of w takes every w-th row of it. Nothing is
restored from a generator's state: a position in the epoch is enough. Rows are numbered a few batches at a
time, so that only a list that a data set makes of its order is as long as the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from genlab.contracts import workers
from genlab.errors import UsageError
from genlab.randomness import generator

AT_ONCE = 8192  # rows whose numbers are computed together

Order = Callable[[Tensor], Tensor]  # (B,) places in an epoch, int64 → (B,) rows


def shuffled(dataset: Any, generator: torch.Generator) -> Order:
    """Each row once: the data set's own ``order`` where it has one, else a random permutation."""
    own = getattr(dataset, "order", None)
    order = torch.randperm(len(dataset), generator=generator) if own is None else own(generator)
    return order.__getitem__ if isinstance(order, Tensor) else order


def stretches(n: int, size: int) -> Iterator[Tensor]:
    """0 … n − 1 in (size,) int64 rows at a time, the last ones fewer.

    >>> [rows.tolist() for rows in stretches(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    return (torch.arange(first, min(first + size, n)) for first in range(0, n, size))


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

    def __iter__(self) -> Iterator[Tensor]:
        """A generator: torch's loader with workers asks for two iterators and uses the second."""
        first, self.first = self.first, 0
        n, order = len(self.dataset), self._order()  # type: ignore[arg-type]
        own, step = self._rows, max(1, AT_ONCE // self.batch_size) * self.batch_size
        for start in range(first * self.batch_size, own, step):
            places = torch.arange(start, min(start + step, own)) * self.num_replicas + self.rank
            yield from order(places % n).split(self.batch_size)

    def __len__(self) -> int:
        return -(-self._rows // self.batch_size)

    def _order(self) -> Order:
        """Of all rows in the current epoch."""
        if not self.shuffle:
            return lambda places: places
        return shuffled(self.dataset, generator("order", self.seed, self.epoch))

    @property
    def _rows(self) -> int:
        """How many rows of an epoch are this rank's."""
        whole = len(self.dataset)  # type: ignore[arg-type]
        return self.num_samples if self.shuffle else len(range(self.rank, whole, self.num_replicas))


class Loader(DataLoader):
    """A DataLoader that hands out what ``dataset[rows]`` returns, and knows where it is in the epoch."""

    def __init__(self, dataset: Any, sampler: BatchSampler, num_workers: int = 0) -> None:
        super().__init__(
            dataset,
            batch_size=None,
            sampler=sampler,
            collate_fn=_identity,
            num_workers=num_workers,
            worker_init_fn=workers.begin,
            multiprocessing_context=workers.context() if num_workers else None,
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
        """Raises UsageError for what is no position of an epoch."""
        position = state.get("position") if isinstance(state, dict) else None
        if type(position) is not int or not 0 <= position < max(1, len(self)):
            raise UsageError(
                f"a checkpoint has {position} for the place in an epoch of {len(self)} batches: remove the "
                "stage's folder in checkpoints to train it again"
            )
        self._position = self.sampler.first = position  # type: ignore[union-attr]


def _identity(batch: Any) -> Any:
    return batch
