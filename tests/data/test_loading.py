"""The loaders of the contracts, on data as they are."""

import multiprocessing
import time
from itertools import chain, islice

import pytest
import torch

from genlab.contracts import Batch, loading
from genlab.contracts.loading import BatchSampler, Loader
from genlab.data import Bernoulli, digits
from genlab.randomness import generator


def rows_of(batches: list[Batch]) -> list[int]:
    return [int(row) for batch in batches if batch.index is not None for row in batch.index]


def loader(rank: int = 0, world: int = 1, shuffle: bool = True, epoch: int = 0) -> Loader:
    dataset = digits().dataset("train")
    sampler = BatchSampler(dataset, 64, shuffle, seed=0, rank=rank, world=world)
    sampler.set_epoch(epoch)
    return Loader(dataset, sampler)


def test_every_row_comes_once_an_epoch_in_a_new_order():
    data = digits(batch_size=64)
    train = data.train_dataloader()
    first = rows_of(list(train))
    train.sampler.set_epoch(1)
    second = rows_of(list(train))
    assert sorted(first) == sorted(second) == list(range(1300))
    assert first != second
    assert len(train) == 21


def test_validation_rows_come_in_order():
    assert rows_of(list(digits().val_dataloader())) == list(range(200))


def test_the_order_follows_the_shuffle_seed():
    def order(seed: int) -> list[int]:
        data = digits()
        data.shuffle_seed = seed
        return rows_of(list(data.train_dataloader()))

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize("world", [2, 3, 7])
def test_ranks_share_the_training_rows_evenly(world):
    parts = [rows_of(list(loader(rank, world))) for rank in range(world)]
    assert {len(part) for part in parts} == {-(-1300 // world)}
    assert set().union(*parts) == set(range(1300))
    assert sum(map(len, parts)) - 1300 < world  # at most one row a rank comes twice


@pytest.mark.parametrize("world", [2, 3, 7])
def test_ranks_see_each_evaluation_row_exactly_once(world):
    parts = [rows_of(list(loader(rank, world, shuffle=False))) for rank in range(world)]
    assert sorted(chain(*parts)) == list(range(1300))
    lengths = [len(loader(rank, world, shuffle=False)) for rank in range(world)]
    assert lengths == [-(-len(part) // 64) for part in parts]


@pytest.mark.parametrize("position", [1, 7, 20])
def test_a_resumed_loader_replays_exactly_the_rest(position):
    whole = rows_of(list(loader(epoch=3)))
    broken = loader(epoch=3)
    seen = list(islice(broken, position))
    resumed = loader(epoch=3)
    resumed.load_state_dict(broken.state_dict())
    rest = list(resumed)
    assert rows_of(seen) + rows_of(rest) == whole
    resumed.sampler.set_epoch(4)
    assert sorted(rows_of(list(resumed))) == list(range(1300))


def test_a_finished_epoch_resumes_at_the_next():
    finished = loader()
    assert len(list(finished)) == len(finished)
    assert finished.state_dict() == {"position": 0}


def test_an_abandoned_epoch_leaves_no_trace_in_the_next():
    """As with limit_train_batches, where no epoch is ever finished."""
    cut = loader()
    for _ in range(3):
        assert len(list(islice(cut, 5))) == 5
        assert cut.state_dict() == {"position": 5}


class _Backwards:
    """Data with an order of their own: a random place to begin at, and backwards from there."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        return Batch(rows[:, None].float(), None, rows)

    def order(self, generator: torch.Generator) -> torch.Tensor:
        return torch.arange(10).flip(0).roll(int(torch.randint(10, (), generator=generator)))


def test_an_order_of_the_data_takes_the_place_of_a_permutation():
    parts = [BatchSampler(_Backwards(), 3, True, seed=0, rank=r, world=2) for r in range(2)]
    for epoch in range(3):
        for part in parts:
            part.set_epoch(epoch)
        own = _Backwards().order(generator("order", 0, epoch))
        rows = [torch.cat(list(part)).tolist() for part in parts]
        assert rows == [own[r::2].tolist() for r in range(2)]
    in_order = BatchSampler(_Backwards(), 3, False, seed=0, rank=0, world=1)
    assert torch.cat(list(in_order)).tolist() == list(range(10))


class _Lazily(_Backwards):
    """The same order as a function of places in it."""

    asked = 0

    def __len__(self) -> int:
        return self.n

    def __init__(self, n: int) -> None:
        self.n = n

    def order(self, generator: torch.Generator):
        start = int(torch.randint(self.n, (), generator=generator))

        def row(places: torch.Tensor) -> torch.Tensor:
            self.asked = max(self.asked, len(places))
            return (start - places) % self.n

        return row


@pytest.mark.parametrize("world", [1, 2, 3])
def test_an_order_may_be_a_function(world):
    n, rows = 20_000, []
    for rank in range(world):
        data = _Lazily(n)
        sampler = BatchSampler(data, 77, True, seed=0, rank=rank, world=world)
        rows.append(torch.cat(list(sampler)).tolist())
        assert len(list(sampler)) == len(sampler)
        assert data.asked <= loading.AT_ONCE
        sampler.first = 30
        assert torch.cat(list(sampler)).tolist() == rows[-1][30 * 77 :]
    assert {len(part) for part in rows} == {-(-n // world)}
    own = _Lazily(n).order(generator("order", 0, 0))(torch.arange(n)).tolist()
    assert sorted(chain(*rows)) == sorted(own + own[: -n % world])


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_are_numbered_a_few_batches_at_a_time(shuffle):
    """10¹² rows: a list of them would take 8 TB."""
    sampler = BatchSampler(_Lazily(10**12), 100, shuffle, seed=0, rank=1, world=3)
    sampler.first = len(sampler) // 2
    batches = [rows.tolist() for rows in islice(sampler, 3)]
    assert {len(rows) for rows in batches} == {100}
    if not shuffle:
        first = sampler.rank + 3 * 100 * (len(sampler) // 2)
        assert list(chain(*batches)) == list(range(first, first + 900, 3))


def test_the_order_of_data_without_one_is_a_permutation_of_torch():
    """Published numbers depend on it."""
    (rows,) = BatchSampler(digits().dataset("train"), 1300, True, seed=3, rank=0, world=1)
    assert torch.equal(rows, torch.randperm(1300, generator=generator("order", 3, 0)))


def test_the_sampler_tells_the_data_its_epoch():
    data = digits(preprocess=Bernoulli())
    train = data.train_dataloader()
    train.sampler.set_epoch(2)
    expected = data.dataset("train")
    expected.set_epoch(2)
    assert torch.equal(train.dataset.values, expected.values)


@pytest.mark.parametrize("preprocess", [None, Bernoulli()])
def test_workers_read_the_same_batches(preprocess):
    def batches(workers: int) -> list[Batch]:
        data = digits(preprocess=preprocess)
        data.num_workers = workers
        train = data.train_dataloader()
        train.sampler.set_epoch(3)
        train.load_state_dict({"position": 2})
        return list(train)

    for here, elsewhere in zip(batches(0), batches(2), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(here, elsewhere, strict=True))


class Sleeping:
    """The first row is there at once, the second one never."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, rows: torch.Tensor) -> Batch:
        time.sleep(3600 * rows.max().item())
        return Batch(rows[:, None].float(), index=rows)


@pytest.mark.slow
def test_a_worker_that_its_loader_ends_does_not_stay():
    """A signal to it alone is no signal to all."""
    batches = iter(Loader(Sleeping(), BatchSampler(Sleeping(), 1, False, 0, 0, 1), num_workers=1))
    next(batches)
    (worker,) = multiprocessing.active_children()
    batches.close()
    worker.join(10)
    assert worker.exitcode == 0
