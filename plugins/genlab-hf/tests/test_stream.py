"""Parquet read where it lies: the numbers of mapped files, each row group about once, little in memory."""

from __future__ import annotations

import datasets
import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from test_pictures import encoded

from genlab.contracts import DataError, UsageError
from genlab.contracts.loading import BatchSampler, Loader
from genlab.data import fingerprint
from genlab.testing import check_data
from genlab_hf import HuggingFaceData
from genlab_hf import data as data_module
from genlab_hf import splits as splits_module
from genlab_hf.groups import RowGroups, runs_of

SPLITS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A window of one "MB" is 500 bytes."""
    monkeypatch.setattr(data_module, "MB", 500)


@pytest.fixture
def folder(tmp_path, numbers) -> str:
    """Two files for training and one for testing, in row groups of 7 or fewer."""
    path = tmp_path / "folder"
    path.mkdir()
    names = {"train-0": slice(90), "train-1": slice(90, 160), "test": slice(160, 200)}
    for name, rows in names.items():
        part = {column: values[rows] for column, values in numbers.items()}
        Dataset.from_dict(part).to_parquet(path / f"{name}.parquet", batch_size=7)
    return str(path)


@pytest.fixture
def reads(monkeypatch) -> list[tuple[str, int]]:
    """Every row group that is read from now on, and that what is in memory stays below what may be."""
    found, read = [], RowGroups._read

    def counted(self, run, schema):
        assert run.size + self.held <= max(self.most, run.size)
        found.extend((run.file, number) for number in run.numbers)
        return read(self, run, schema)

    monkeypatch.setattr(RowGroups, "_read", counted)
    return found


def train(data, epoch=0, rank=0, world=1, batch_size=10, shuffle=True) -> Loader:
    dataset = data.dataset("train")
    sampler = BatchSampler(dataset, batch_size, shuffle, 0, rank, world)
    sampler.set_epoch(epoch)
    return Loader(dataset, sampler)


def order(data, seed=0) -> np.ndarray:
    return data.dataset("train").order(torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("columns", [("a", "b"), ("bit", "truth"), ("level", "bit")])
@pytest.mark.parametrize("label", [None, "kind"])
@pytest.mark.parametrize("block", [3, 10_000])
def test_the_numbers_are_those_of_mapped_files(folder, columns, label, block, monkeypatch):
    monkeypatch.setattr(splits_module, "BLOCK", block)
    mapped, streamed = (
        HuggingFaceData(folder, columns=columns, label=label, streaming=streaming)
        for streaming in (False, True)
    )
    assert streamed.spec == mapped.spec, "with the same variant, so that scores can be compared"
    for split in SPLITS:
        rows = torch.arange(len(mapped.dataset(split)))
        ours, theirs = streamed.dataset(split)[rows], mapped.dataset(split)[rows]
        assert torch.equal(ours.x, theirs.x)
        assert label is None or torch.equal(ours.label, theirs.label)
        assert torch.equal(ours.index, theirs.index)
        assert fingerprint(streamed, split) == fingerprint(mapped, split)


def test_pictures_are_those_of_mapped_files(tmp_path):
    stream = np.random.Generator(np.random.PCG64(0))
    cells = [encoded(stream.integers(0, 256, (6, 8, 3), dtype=np.uint8)) for _ in range(50)]
    features = Features({"picture": Image(), "kind": ClassLabel(names=["cat", "dog"])})
    made = Dataset.from_dict({"picture": cells, "kind": [0, 1] * 25}, features)
    made.to_parquet(tmp_path / "some.parquet", batch_size=4)
    mapped, streamed = (
        HuggingFaceData(
            str(tmp_path / "some.parquet"), image="picture", label="kind", streaming=streaming
        )
        for streaming in (False, True)
    )
    assert streamed.spec == mapped.spec
    assert streamed.spec.classes == 2
    for split in SPLITS:
        rows = torch.arange(len(mapped.dataset(split))).flip(0)
        assert torch.equal(streamed.dataset(split)[rows].x, mapped.dataset(split)[rows].x)
        assert torch.equal(streamed.dataset(split)[rows].label, mapped.dataset(split)[rows].label)
    groups = streamed.parts["train"].table.groups
    expected = sum(len(cell["bytes"]) for cell in cells)
    found = sum(group.sizes["picture"] for group in groups)
    assert expected < found < 1.2 * expected, "what pictures take is known before they are read"


def test_rows_come_in_the_order_that_is_asked_for(folder):
    dataset = HuggingFaceData(folder, columns=("a",), streaming=True, window=1).dataset("train")
    x = dataset[torch.arange(len(dataset))].x
    rows = torch.tensor([143, 3, 3, 99, 0, 91, 89])
    assert torch.equal(dataset[rows].x, x[rows])
    assert dataset[rows[:0]].x.shape == (0, 1)


@pytest.mark.parametrize("window", [1, 3, 256])
def test_an_order_is_a_permutation_and_follows_from_the_generator(folder, window):
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=window)
    again = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=window)
    first = order(data)
    assert np.array_equal(np.sort(first), np.arange(144))
    assert np.array_equal(order(data), first)
    assert np.array_equal(order(again), first)
    assert not np.array_equal(order(data, seed=1), first)


def test_rows_of_a_window_are_mixed_and_those_of_others_are_not(folder):
    """A row of a float64 and a float32 is 12 bytes, so that 41 rows fit into a window of 500."""

    def spans(**options):
        """How far the first and the last row of each row group are apart, and the order itself."""
        data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, **options)
        part = data.parts["train"]
        whose = np.repeat(np.arange(23), [group.rows for group in part.table.groups])
        found = whose[part.rows][order(data)]
        return [np.ptp(np.flatnonzero(found == group)) for group in np.unique(found)], found

    near, found = spans(window=1)
    assert max(near) < 41
    assert (np.diff(found) != 0).mean() > 0.6
    far, _ = spans()
    assert np.mean(far) > 80, "where all fits into a window, all 144 rows are mixed"


@pytest.mark.parametrize(("shuffle", "most"), [(True, 1.3), (False, 1)])
def test_each_row_group_is_read_about_once_in_an_epoch(folder, reads, shuffle, most):
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1)
    data.parts["train"].table.memory._tables.clear()  # what finding the moments has left
    reads.clear()
    assert len(torch.cat([batch.index for batch in train(data, shuffle=shuffle)])) == 144
    assert set(reads) == {(g.file, g.number) for g in data.parts["train"].table.groups}
    assert len(reads) <= most * len(set(reads))


def test_all_splits_share_one_memory(folder, reads):
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1)
    datasets_ = [data.dataset(split) for split in SPLITS]
    for first in range(0, 16, 4):
        for dataset in datasets_:
            dataset[torch.arange(first, first + 4)]
    memory = {id(part.table.memory) for part in data.parts.values()}
    assert len(memory) == 1
    assert reads, "and the fixture has looked at what is held"


def test_every_rank_reads_its_own_rows(folder):
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1)
    parts = [torch.cat([b.index for b in train(data, 2, r, 3)]).tolist() for r in range(3)]
    assert sorted(row for part in parts for row in part) == list(range(144))


def test_an_epoch_goes_on_where_it_was_left_in_another_process(folder):
    def fresh():
        return train(HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1), epoch=4)

    whole, before = list(fresh()), fresh()
    iterator = iter(before)
    for _ in range(5):
        next(iterator)
    after = fresh()
    after.load_state_dict(before.state_dict())
    rest = list(after)
    assert len(rest) == len(whole) - 5
    for a, b in zip(rest, whole[5:], strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.index, b.index)


def test_workers_read_the_same_batches(folder):
    """In forks of this process, which has the files open."""

    def batches(workers: int) -> list[torch.Tensor]:
        data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1)
        loader = train(data)
        assert len(loader.dataset[torch.arange(50)].x) == 50
        return [batch.x for batch in Loader(loader.dataset, loader.sampler, workers)]

    for here, elsewhere in zip(batches(0), batches(3), strict=True):
        assert torch.equal(here, elsewhere)


def test_a_fork_opens_files_of_its_own(folder, monkeypatch):
    memory, file = RowGroups(500), f"{folder}/test.parquet"
    ours = memory._open(file)
    assert memory._open(file) is ours
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert memory._open(file) is not ours


def test_nothing_is_written(folder, tmp_path):
    before = set(tmp_path.rglob("*"))
    data = HuggingFaceData(folder, columns=("a", "b"), label="kind", streaming=True)
    assert len(list(train(data))) == 15
    assert set(tmp_path.rglob("*")) == before


def in_memory(folder) -> dict[str, str]:
    """The same files in a file system that is not this machine's disk."""
    system = fsspec.filesystem("memory")
    system.put(folder, "/elsewhere/", recursive=True)
    pattern = (
        "memory://elsewhere/folder" if system.exists("/elsewhere/folder") else "memory://elsewhere"
    )
    return {"train": f"{pattern}/train-*.parquet", "test": f"{pattern}/test.parquet"}


def test_files_of_any_file_system_are_streamed(folder):
    here = HuggingFaceData(folder, columns=("a", "b"), streaming=True)
    there = HuggingFaceData("parquet", files=in_memory(folder), columns=("a", "b"), streaming=True)
    assert all("memory://" in group.file for group in there.parts["train"].table.groups)
    for split in SPLITS:
        assert fingerprint(there, split) == fingerprint(here, split)


def test_a_name_on_the_hub_is_asked_for_as_given(folder, monkeypatch):
    """No hub can be reached here: ``datasets`` is asked which files a name has, and those are read."""
    asked, build = [], datasets.load_dataset_builder

    def answer(**options):
        asked.append(options)
        return build("parquet", data_files=in_memory(folder), cache_dir=options["cache_dir"])

    monkeypatch.setattr(datasets, "load_dataset_builder", answer)
    data = HuggingFaceData(
        "owner/name", subset="small", revision="abc", columns=("a", "b"), streaming=True
    )
    assert asked[0].pop("cache_dir")
    assert asked == [{"path": "owner/name", "name": "small", "revision": "abc", "data_files": None}]
    assert data.spec.variant == "owner/name, small, revision abc, standardised"
    assert len(data.dataset("train")) == 144


def test_files_of_the_hub_are_opened_by_its_file_system():
    system, path = fsspec.url_to_fs("hf://datasets/owner/name@abc/data/train.parquet")
    assert type(system).__name__ == "HfFileSystem"
    assert path == "datasets/owner/name@abc/data/train.parquet"


def test_columns_are_what_the_first_file_says(tmp_path):
    """As ``datasets`` has it: numbers of another width are brought to that of the first file."""
    (tmp_path / "two").mkdir()
    for i, kind in enumerate((np.float64, np.float32)):
        made = Dataset.from_dict({"a": np.arange(60, dtype=kind)})
        made.to_parquet(tmp_path / "two" / f"train-{i}.parquet")
    mapped, streamed = (HuggingFaceData(str(tmp_path / "two"), streaming=s) for s in (False, True))
    assert fingerprint(streamed, "train") == fingerprint(mapped, "train")


def test_names_with_dots_and_brackets_are_no_patterns(tmp_path):
    path = tmp_path / "a[1].b.parquet"
    Dataset.from_dict({"a.b": np.arange(60.0), "a": np.arange(60.0) ** 2}).to_parquet(path)
    mapped, streamed = (
        HuggingFaceData(str(path), columns=("a",), streaming=s) for s in (False, True)
    )
    assert fingerprint(streamed, "train") == fingerprint(mapped, "train")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "table.csv",
            {},
            r"data\.streaming=true reads parquet, and data\.path=.* is csv: leave it out",
        ),
        ("saved", {}, r"was saved by Dataset\.save_to_disk: leave out data\.streaming"),
        ("train.parquet", {"cache": "x"}, r"data\.cache=x: data\.streaming=true keeps nothing"),
        ("train.parquet", {"window": 0}, r"data\.window=0 must be at least 1"),
        ("bad.parquet", {}, r"data\.path=.*bad\.parquet cannot be read: "),
        ("script.py", {}, "expected a file of .parquet"),
        ("owner/name", {}, "the hub was not reached"),
    ],
)
def test_what_cannot_be_streamed_is_refused_in_one_line(tmp_path, name, options, message):
    made = Dataset.from_dict({"a": np.arange(30.0)})
    made.to_csv(tmp_path / "table.csv")
    made.to_parquet(tmp_path / "train.parquet")
    DatasetDict({"train": made}).save_to_disk(tmp_path / "saved")
    (tmp_path / "bad.parquet").write_text("nothing")
    (tmp_path / "script.py").write_text("raise SystemExit")
    path = name if "/" in name else str(tmp_path / name)
    with pytest.raises(UsageError, match=message) as caught:
        HuggingFaceData(path, streaming=True, **options)
    assert "\n" not in str(caught.value)


def test_a_file_that_goes_away_ends_the_run_in_one_line(tmp_path):
    path = tmp_path / "train.parquet"
    Dataset.from_dict({"a": np.arange(300.0)}).to_parquet(path, batch_size=9)
    data = HuggingFaceData(str(path), streaming=True, window=1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    data.parts["train"].table.memory._files.clear()
    data.parts["train"].table.memory._tables.clear()
    with pytest.raises(
        DataError, match=r"row group 0 of .*train\.parquet cannot be read: "
    ) as caught:
        data.dataset("train")[torch.arange(3)]
    assert "\n" not in str(caught.value)


def test_one_large_row_group_is_one_window(tmp_path):
    pq.write_table(Dataset.from_dict({"a": np.arange(300.0)}).data.table, tmp_path / "one.parquet")
    data = HuggingFaceData(str(tmp_path / "one.parquet"), streaming=True, window=1)
    assert np.array_equal(np.sort(order(data)), np.arange(240))
    assert len(train(data)) == 24


@pytest.mark.parametrize("streaming", [False, True])
def test_conformance(folder, streaming):
    def build():
        return HuggingFaceData(
            folder, label="kind", streaming=streaming, window=1 if streaming else None
        )

    report = check_data(build)
    assert report.passed, str(report)


def test_small_row_groups_are_read_several_at_once(folder, reads, monkeypatch):
    monkeypatch.setattr(data_module, "MB", 7000)  # a 32nd is 218 bytes, 2 groups of 84 and no third
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True, window=1)
    memory = data.parts["train"].table.memory
    memory._tables.clear()
    reads.clear()
    batches = list(train(data))
    assert len(batches) == 15
    assert sorted(len(numbers) for _, numbers, *_ in memory._tables) == [1] + [2] * 11
    assert len(reads) == len(set(reads)) == 23


def test_the_groups_that_were_used_last_are_kept(folder):
    data = HuggingFaceData(folder, columns=("a", "b"), streaming=True)
    columns = data.parts["train"].table.select(["a", "b"])
    runs = runs_of(data.parts["train"].table.groups, columns._schema, 0)[:3]
    memory = RowGroups(2 * 84)
    for i in (0, 1, 0, 2):
        memory.table(runs[i], columns._schema)
    assert [memory.holds(run, columns._schema) for run in runs] == [True, False, True]
