"""What genlab owes any data, kept by rows that lie on disk: order, shares, resume, training."""

from __future__ import annotations

import pickle

import pytest
import torch

import genlab
from genlab.contracts.loading import BatchSampler, Loader
from genlab.testing import check_processes
from genlab_hf import HuggingFaceData
from genlab_hf import data as data_module
from genlab_hf.rows import Rows


@pytest.fixture(params=[False, True], ids=["mapped", "streamed"])
def streaming(request, monkeypatch) -> bool:
    monkeypatch.setattr(data_module, "MB", 100)  # windows of a few row groups
    return request.param


@pytest.fixture
def data(table, streaming) -> HuggingFaceData:
    return HuggingFaceData(table, columns=("a", "b"), label="kind", streaming=streaming)


def loader(data, epoch, seed=0, rank=0, world=1, batch_size=7) -> Loader:
    dataset = data.dataset("train")
    sampler = BatchSampler(dataset, batch_size, True, seed, rank, world)
    sampler.set_epoch(epoch)
    return Loader(dataset, sampler)


def seen(batches) -> list[int]:
    return torch.cat([batch.index for batch in batches]).tolist()


def test_order_is_a_function_of_seed_and_epoch(data):
    first = seen(loader(data, epoch=1))
    assert sorted(first) == list(range(160))
    assert seen(loader(data, epoch=1)) == first
    assert seen(loader(data, epoch=2)) != first
    assert seen(loader(data, epoch=1, seed=1)) != first


def test_ranks_share_the_rows_of_an_epoch(data):
    shares = [seen(loader(data, epoch=3, rank=rank, world=4)) for rank in range(4)]
    assert sorted(row for share in shares for row in share) == list(range(160))


def test_an_epoch_goes_on_where_it_was_left(data):
    whole = list(loader(data, epoch=5))
    before, state = loader(data, epoch=5), None
    for position, _ in enumerate(before):
        state = before.state_dict()
        if position == 9:
            break
    after = loader(data, epoch=5)
    after.load_state_dict(state)
    rest = list(after)
    assert len(rest) == len(whole) - 10
    for a, b in zip(rest, whole[10:], strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.label, b.label)
        assert torch.equal(a.index, b.index)


def test_a_worker_process_reads_the_same_rows(data):
    dataset = data.dataset("train")
    twin = pickle.loads(pickle.dumps(dataset))
    rows = torch.tensor([4, 0, 77])
    assert torch.equal(twin[rows].x, dataset[rows].x)
    assert len(pickle.dumps(dataset)) < 50_000, "the rows themselves go to no process"


def test_on_two_processes(table):
    """Disjoint shares, equal weights, the scores and samples of one process, exact resume."""
    words = ("model=made", "model.hidden=[8]", "data=hf", f"data.path={table}")
    words += ("data.columns=[a,b]", "data.batch_size=20")
    for report in check_processes(words, (*words, "data.streaming=true")):
        report.raise_if_failed()


def test_a_killed_run_goes_on_bit_for_bit(table, tmp_path, monkeypatch, streaming):
    words = [
        "model=made",
        "model.hidden=[8]",
        "data=hf",
        f"data.path={table}",
        f"data.streaming={streaming}",
        "data.columns=[a,b]",
    ]
    words += ["data.batch_size=2", "stages.fit.max_epochs=3", "gallery=false", "evaluate=[test]"]
    undisturbed = genlab.train(*words, f"folder={tmp_path}/a")
    read, batches = Rows.__getitem__, iter(range(10**6))

    def dies(self, rows):
        if self.split == "train" and next(batches) == 130:  # in the middle of the second epoch
            raise RuntimeError("killed")
        return read(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "__getitem__", dies)
        with pytest.raises(RuntimeError, match="killed"):
            genlab.train(*words, f"folder={tmp_path}/b")
    resumed = genlab.train(*words, f"folder={tmp_path}/b", resume="auto")
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert undisturbed.scores[0]["nats"] == resumed.scores[0]["nats"]
    assert undisturbed.scores[0]["data"]["sha256"] == resumed.scores[0]["data"]["sha256"]
