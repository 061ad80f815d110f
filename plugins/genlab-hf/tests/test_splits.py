"""Which rows are whose, and where they come from."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, load_dataset

from genlab.contracts import DataError
from genlab.data import fingerprint
from genlab_hf import HuggingFaceData

SPLITS = ("train", "val", "test")


def rows(data, split) -> set[int]:
    part = data.parts[split]
    return set(range(len(part)) if part.rows is None else part.rows.tolist())


def test_a_tenth_each_is_held_out_where_there_is_one_split(table):
    data = HuggingFaceData(table, columns=("a",))
    assert [len(data.dataset(split)) for split in SPLITS] == [160, 20, 20]
    parts = [rows(data, split) for split in SPLITS]
    assert set.union(*parts) == set(range(200)), "every row is used, and none twice"
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_what_is_held_out_follows_from_the_seed_alone(table):
    def held(seed):
        return rows(HuggingFaceData(table, columns=("a",), seed=seed), "val")

    assert held(0) == held(0)
    assert held(0) != held(1)


def test_splits_of_the_data_set_are_kept(tmp_path):
    parts = {"train": 30, "test": 7}
    saved = DatasetDict({k: Dataset.from_dict({"a": np.arange(n) / n}) for k, n in parts.items()})
    saved.save_to_disk(tmp_path / "saved")
    data = HuggingFaceData(str(tmp_path / "saved"))
    assert [len(data.dataset(split)) for split in SPLITS] == [27, 3, 7]
    data = HuggingFaceData(str(tmp_path / "saved"), val="test")
    assert [len(data.dataset(split)) for split in SPLITS] == [30, 7, 7]


def test_every_form_of_the_same_rows_is_the_same_data(tmp_path, table):
    """A parquet, arrow, csv or json file, a folder of files and a saved folder."""
    dataset = load_dataset("parquet", data_files=table)["train"].select_columns(["a", "b"])
    dataset.save_to_disk(tmp_path / "saved")
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    dataset.to_csv(tmp_path / "table.csv")
    dataset.to_json(tmp_path / "table.jsonl")
    (tmp_path / "folder").mkdir()
    dataset.to_parquet(tmp_path / "folder" / "train.parquet")
    forms = [table, tmp_path / "saved", arrow, tmp_path / "table.csv", tmp_path / "table.jsonl"]
    found = [HuggingFaceData(str(p), columns=("a", "b")) for p in [*forms, tmp_path / "folder"]]
    x = [data.dataset("val")[torch.arange(20)].x for data in found]
    for other in x[1:]:
        torch.testing.assert_close(other, x[0], atol=1e-6, rtol=1e-6)
    assert fingerprint(found[1], "val") == fingerprint(found[0], "val")


def test_too_few_rows_to_hold_out_are_refused(tmp_path):
    Dataset.from_dict({"a": np.arange(9.0)}).to_parquet(tmp_path / "few.parquet")
    with pytest.raises(DataError, match=r"9 training rows leave none for val: give data\.val=NAME"):
        HuggingFaceData(str(tmp_path / "few.parquet"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("./nowhere", r"data\.path=\./nowhere does not exist"),
        ("nowhere.parquet", r"data\.path=nowhere\.parquet does not exist"),
        (
            "owner/name",
            r"data\.path=owner/name is no file or folder here, and the hub was not reached",
        ),
        ("name", r"data\.path=name is no file or folder here, and the hub was not reached"),
    ],
)
def test_what_is_not_there_is_one_line(path, message):
    with pytest.raises(DataError, match=message) as caught:
        HuggingFaceData(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_data_file_is_one_line(tmp_path):
    (tmp_path / "bad.parquet").write_text("nothing")
    (tmp_path / "script.py").write_text("raise SystemExit")
    (tmp_path / "empty").mkdir()
    for name in ("bad.parquet", "script.py", "empty"):
        with pytest.raises(DataError, match=r"^data\.path=.*") as caught:
            HuggingFaceData(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_name_on_the_hub_is_asked_for_as_given(monkeypatch):
    """No hub can be reached here: what is asked of ``datasets`` is looked at."""
    asked = []

    def answer(*args, **options):
        asked.append((args, options))
        return DatasetDict({"train": Dataset.from_dict({"a": np.arange(30.0)})})

    monkeypatch.setattr(datasets, "load_dataset", answer)
    files = {"train": "data/*.parquet"}
    data = HuggingFaceData("owner/name", subset="small", revision="abc", files=files)
    options = {"path": "owner/name", "name": "small", "revision": "abc", "data_files": files}
    options |= {"cache_dir": None, "writer_batch_size": 10_000}
    assert asked == [((), options)]
    assert data.spec.name == "name", "part of the names of folders"
    assert data.spec.variant == "owner/name, small, revision abc, standardised"


def test_splits_of_other_columns_are_refused(tmp_path):
    a, b = Dataset.from_dict({"a": [1.0] * 30}), Dataset.from_dict({"a": [1] * 30})
    DatasetDict({"train": a, "test": b}).save_to_disk(tmp_path / "saved")
    message = r"test has the columns a \(int64\), and train has a \(double\): give data\.test=NAME"
    with pytest.raises(DataError, match=message):
        HuggingFaceData(str(tmp_path / "saved"))
