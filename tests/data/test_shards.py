"""Shards are the data that they were written from, whoever reads them, and in whatever shares."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from genlab.contracts import DataSpec, Support
from genlab.contracts.loading import BatchSampler, Loader
from genlab.data import Shards, Threshold, digits, fingerprint, heartbeat, mapped, npz, toy2d
from genlab.data.permutation import Permutation
from genlab.data.shard_files import FORMATS
from genlab.randomness import generator
from genlab.testing import check_data
from genlab.testing.report import Status
from tests.data.sharded import InMemory, written

SPLITS = ("train", "val", "test")


def sixteen_bits() -> InMemory:
    """Levels that do not fit into a byte, labels neither."""
    spec = DataSpec("deep", "1000 levels", (3,), Support.LEVELS, 1000, classes=300)
    level = torch.randint(1000, (50, 3), generator=torch.Generator().manual_seed(0))
    return InMemory(spec, level / 999, torch.arange(250, 300))


def doubles() -> InMemory:
    spec = DataSpec("fine", "double", (2, 2), Support.REAL, log_scale=math.pi)
    return InMemory(spec, torch.randn(40, 2, 2, dtype=torch.float64))


def own_arrays(folder):
    rng = np.random.default_rng(0)
    np.savez(folder / "mine.npz", x=rng.normal(3, 2, (60, 5)), labels=rng.integers(0, 4, 60))
    return npz(str(folder / "mine.npz"))


SOURCES = {
    "levels": digits,
    "binary": lambda: digits(preprocess=Threshold(8)),
    "labels": heartbeat,
    "real": lambda: toy2d("moons", 1000),
    "deep": sixteen_bits,
    "double": doubles,
}


@pytest.fixture(params=[*SOURCES, "own"])
def source(request, tmp_path):
    return own_arrays(tmp_path) if request.param == "own" else SOURCES[request.param]()


@pytest.mark.parametrize("form", FORMATS)
def test_the_data_are_those_of_the_source(source, tmp_path, form):
    """Values bit for bit, labels, spec and checksum: scores on both stand in one table."""
    shards = Shards(written(source, tmp_path / "shards", form=form))
    assert dataclasses.asdict(shards.spec) == dataclasses.asdict(source.spec)
    for split in SPLITS:
        expected, found = source.dataset(split), shards.dataset(split)
        assert len(found) == len(expected)
        rows = torch.randperm(len(expected), generator=torch.Generator().manual_seed(0))
        for part in (rows, rows[:1], rows[:0]):
            (x, label, index), (a, b, c) = expected[part], found[part]
            assert torch.equal(a, x)
            assert a.dtype == x.dtype
            assert torch.equal(c, index)
            assert (b is None) == (label is None)
            assert b is None or (torch.equal(b, label) and b.dtype == torch.int64)
        assert fingerprint(shards, split) == fingerprint(source, split)


def test_other_readers_of_safetensors_read_them(source, tmp_path):
    """The library is the reference: numbers, names, and that nothing else is in the files."""
    for form in FORMATS:
        written(source, tmp_path / form, form=form)
    files = sorted((tmp_path / "safetensors").glob("*.safetensors"))
    assert files
    for path in files:
        name = path.stem.split("-")[1]
        found, expected = load_file(path), np.load(tmp_path / "npy" / f"{path.stem}.npy")
        assert found.keys() == {name}
        assert found[name].dtype == expected.dtype
        assert np.array_equal(found[name], expected)
        length = int.from_bytes(path.read_bytes()[:8], "little")
        assert length % 8 == 0  # numbers lie where the format asks for them


def test_the_number_of_rows_in_a_file_changes_nothing(tmp_path):
    folders = [written(digits(), tmp_path / str(rows), rows) for rows in (10, 100, 1300, 10**9)]
    counts = [len(list((tmp_path / name).glob("train-x-*"))) for name in ("10", "100", "1300")]
    assert counts == [130, 13, 1]
    assert len({fingerprint(Shards(folder), "train") for folder in folders}) == 1


def test_small_numbers_take_small_files(tmp_path):
    written(digits(preprocess=Threshold(8)), tmp_path / "bits", 10**6)
    assert (tmp_path / "bits" / "train-x-00000.npy").stat().st_size == 128 + 1300 * 64
    assert (tmp_path / "bits" / "train-label-00000.npy").stat().st_size == 128 + 1300


@pytest.mark.parametrize("rows", [[-1], [1300], [0, 5000]])
def test_a_row_that_is_not_there_is_an_error(tmp_path, rows):
    train = Shards(written(digits(), tmp_path / "d")).dataset("train")
    with pytest.raises(IndexError, match="there are 1300"):
        train[torch.tensor(rows)]


def test_few_files_are_open(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "OPEN", 3)
    train = Shards(written(digits(), tmp_path / "d")).dataset("train")
    rows = torch.randperm(1300)
    assert torch.equal(train[rows].x, digits().dataset("train")[rows].x)
    assert len(train._x._open) == 3


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_is_small_and_opens_files_of_its_own(tmp_path, twin):
    data = Shards(written(digits(), tmp_path / "d"))
    rows = torch.arange(1300)
    before = data.dataset("train")[rows].x
    other = twin(data)
    assert not other.dataset("train")._x._open
    assert len(pickle.dumps(data)) < 10_000 < before.numel()
    assert torch.equal(other.dataset("train")[rows].x, before)


# --------------------------------------------------------------------------------------------------- order


def rows_of(batches) -> list[int]:
    return torch.cat([batch.index for batch in batches]).tolist()


def test_an_epoch_is_in_the_order_of_a_permutation(tmp_path):
    data = Shards(written(digits(), tmp_path / "d"), batch_size=64)
    data.shuffle_seed = 3
    loader = data.train_dataloader()
    epochs = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        epochs.append(rows_of(loader))
        own = Permutation(1300, generator("order", 3, epoch))
        assert epochs[-1] == own(torch.arange(1300)).tolist()
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_ranks_and_workers_read_disjoint_parts(tmp_path_factory, shuffle, world, workers):
    folder = tmp_path_factory.getbasetemp() / "parts"
    if not folder.exists():
        written(digits(), folder, 100)
    train, whole = Shards(str(folder)).dataset("train"), digits().dataset("train")
    parts = []
    for rank in range(world):
        sampler = BatchSampler(train, 64, shuffle, seed=0, rank=rank, world=world)
        sampler.set_epoch(2)
        batches = list(Loader(train, sampler, workers))
        for batch in batches:
            assert torch.equal(batch.x, whole[batch.index].x)
            assert torch.equal(batch.label, whole[batch.index].label)
        parts.append(rows_of(batches))
    together = list(chain(*parts))
    assert set(together) == set(range(1300))
    again = (
        -1300 % world if shuffle else 0
    )  # training repeats the first rows where they do not divide
    assert len(together) == 1300 + again
    if shuffle:
        order = Permutation(1300, generator("order", 0, 2))(torch.arange(1300)).tolist()
        assert sorted(together) == sorted(order + order[:again])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_goes_on_at_the_exact_datum(tmp_path, workers):
    def loader() -> Loader:
        data = Shards(folder, batch_size=10)
        data.num_workers = workers
        made = data.train_dataloader()
        made.sampler.set_epoch(4)
        return made

    folder = written(digits(), tmp_path / "d")
    whole, broken = rows_of(loader()), loader()
    seen = rows_of(batch for batch, _ in zip(broken, range(37), strict=False))
    resumed = loader()
    resumed.load_state_dict({"position": 37})
    assert seen[:370] + rows_of(resumed) == whole


@pytest.mark.slow
def test_spawned_workers_open_the_files_themselves(tmp_path):
    data = Shards(written(digits(), tmp_path / "d"))
    train = data.dataset("train")
    train[torch.arange(1300)]
    sampler = BatchSampler(train, 500, False, seed=0, rank=0, world=1)
    loader = Loader(train, sampler, 1)
    loader.multiprocessing_context = "spawn"
    assert torch.equal(
        torch.cat([batch.x for batch in loader]), digits().dataset("train")[torch.arange(1300)].x
    )


@pytest.mark.parametrize("name", ["levels", "real", "labels"])
def test_the_suite_for_data_passes(tmp_path, name):
    folder = written(SOURCES[name](), tmp_path / "d")
    report = check_data(lambda: Shards(folder))
    assert report.passed, str(report)
    skipped = {result.check for result in report.of(Status.SKIPPED)}
    assert skipped <= {"reals_are_standardised"}
