"""Columns of numbers: the same data as genlab's own, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset

from genlab.contracts import DataError, Support, UsageError
from genlab.data import npz
from genlab_hf import HuggingFaceData
from genlab_hf import splits as splits_module

SPLITS = ("train", "val", "test")


def whole(data, split):
    dataset = data.dataset(split)
    return dataset[torch.arange(len(dataset))]


def save(folder, **parts: dict[str, np.ndarray]) -> dict[str, str]:
    """A parquet file for each split, as data.files names them."""
    for name, columns in parts.items():
        Dataset.from_dict(columns).to_parquet(folder / f"{name}.parquet")
    return {name: str(folder / f"{name}.parquet") for name in parts}


def three(numbers, *columns):
    """The first 120, the next 40 and the last 40 rows of some columns."""
    rows = {"train": slice(120), "validation": slice(120, 160), "test": slice(160, 200)}
    return {name: {c: numbers[c][part] for c in columns} for name, part in rows.items()}


@pytest.mark.parametrize("columns", [("a", "b"), ("bit",), ("level", "bit")])
def test_same_batches_as_an_npz_of_the_same_numbers(tmp_path, numbers, columns):
    """An independent reference: genlab's own reading of arrays in memory."""
    parts = three(numbers, *columns, "kind")
    ours = HuggingFaceData(
        str(tmp_path), files=save(tmp_path, **parts), columns=columns, label="kind"
    )
    arrays = {}
    for split, name in zip(SPLITS, parts, strict=True):
        arrays[split] = np.stack([parts[name][c] for c in columns], 1)
        arrays[f"{split}_labels"] = parts[name]["kind"]
    np.savez(tmp_path / "same.npz", **arrays)
    theirs = npz(str(tmp_path / "same.npz"))
    for field in ("shape", "support", "levels", "classes", "variant"):
        assert getattr(ours.spec, field) == getattr(theirs.spec, field)
    assert ours.spec.log_scale == pytest.approx(theirs.spec.log_scale, abs=1e-6)
    for split in SPLITS:
        a, b = whole(ours, split), whole(theirs, split)
        torch.testing.assert_close(a.x, b.x, atol=1e-5, rtol=1e-5)
        assert a.x.dtype == torch.float32
        assert torch.equal(a.label, b.label)
        assert torch.equal(a.index, b.index)
        assert ours.spec.contains(a.x)


def test_rows_come_in_the_order_that_is_asked_for(table):
    dataset = HuggingFaceData(table, columns=("a",)).dataset("train")
    x = dataset[torch.arange(len(dataset))].x
    rows = torch.tensor([17, 3, 3, 99, 0])
    batch = dataset[rows]
    assert torch.equal(batch.x, x[rows])
    assert torch.equal(batch.index, rows)


def test_moments_are_of_the_training_rows_alone_whatever_the_blocks(table, numbers, monkeypatch):
    monkeypatch.setattr(splits_module, "BLOCK", 7)
    data = HuggingFaceData(table, columns=("a", "b"))
    train = data.parts["train"]
    x = np.stack([numbers["a"], numbers["b"]], 1)[train.rows]
    np.testing.assert_allclose(data.content.mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(data.content.sigma, x.std(0), rtol=1e-6)
    assert data.spec.log_scale == pytest.approx(np.log(x.std(0)).sum(), abs=1e-6)
    standard = whole(data, "train").x.double()
    assert standard.mean(0).abs().max() < 1e-5
    assert (standard.std(0, correction=0) - 1).abs().max() < 1e-5


def test_support_follows_from_the_numbers(table):
    def spec(*columns, **options):
        return HuggingFaceData(table, columns=columns, **options).spec

    assert (spec("bit").support, spec("truth").support) == (Support.BINARY, Support.BINARY)
    assert (spec("level").support, spec("level").levels) == (Support.LEVELS, 256)
    assert spec("level", levels=17).levels == 17
    assert spec("level", "a").support is Support.REAL
    assert spec("level", support=Support.REAL).support is Support.REAL
    assert spec("bit", support=Support.LEVELS, levels=3).levels == 3


def test_all_columns_of_numbers_but_the_label(table):
    data = HuggingFaceData(table, label="kind")
    assert data.content.columns == ["a", "b", "bit", "level", "truth"]
    assert (data.spec.name, data.spec.classes) == ("table", 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("aa",)}, r"^data\.columns=aa: there is no such column.*"),
        ({"columns": ("name",)}, "column 'name' holds .*string, expected numbers"),
        ({"columns": ()}, "at least one column"),
        ({"label": "name"}, "data.label=name: the column holds .*string"),
        ({"label": "a"}, "expected whole numbers from 0"),
        ({"label": "lable"}, r"data\.label=lable: there is no such column"),
        (
            {"columns": ("level",), "levels": 5},
            r"numbers 0 … 16, expected 0 … 4: give data.levels=N",
        ),
        ({"columns": ("level",), "support": Support.BINARY}, "expected 0 … 1"),
        ({"columns": ("a",), "levels": 5}, "data.levels=5 belongs to levels"),
        ({"columns": ("a",), "size": 5}, "data.size=5 belongs to images"),
        ({"image": "a"}, "data.image=a: the column holds no images; no column does"),
        ({"image": "a", "levels": 3}, "data.levels belongs to columns of numbers"),
        ({"columns": ("a", "b", "a")}, "data.columns names 'a' twice"),
        (
            {"columns": ("a", "kind"), "label": "kind"},
            "data.columns names 'kind', which is data.label",
        ),
        ({"columns": ("level",), "levels": 0}, "data.levels=0 must be at least 2"),
        ({"window": 3}, "data.window=3 belongs to data.streaming=true"),
        ({"revision": "abc"}, "data.revision=abc belongs to a name on the hub, and .* is here"),
        ({"test": "train"}, "data.test=train is what is trained on"),
        (
            {"train": "training"},
            "data.train=training: there is no such split; the data set has train",
        ),
        ({"test": "tset"}, "data.test=tset: there is no such split"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(table, options, message):
    with pytest.raises((UsageError, DataError), match=message) as caught:
        HuggingFaceData(table, **options)
    assert "\n" not in str(caught.value)


def test_numbers_that_cannot_be_standardised_are_named(tmp_path):
    for value in (1.0, 0.1, 1e8 / 3):  # the mean of many 0.1 is not 0.1
        flat = {"a": np.full(5000, value), "b": np.arange(5000.0)}
        with pytest.raises(DataError, match="column 'a' is constant"):
            HuggingFaceData(str(tmp_path), files=save(tmp_path, train=flat))
    endless = {"a": [np.inf, *np.arange(49.0)], "b": np.arange(50.0)}
    with pytest.raises(DataError, match="column 'a' has empty or infinite entries"):
        HuggingFaceData(str(tmp_path), files=save(tmp_path, train=endless))
    holes = {"a": [None, *range(49)], "b": np.arange(50.0)}
    with pytest.raises(DataError, match="column 'a' has empty or infinite entries"):
        HuggingFaceData(str(tmp_path), files=save(tmp_path, train=holes), support=Support.REAL)


def test_what_is_no_datum_is_named_with_its_row(tmp_path, numbers):
    parts = three(numbers, "a")
    parts["test"]["a"] = np.where(np.arange(40) == 5, np.nan, parts["test"]["a"])
    data = HuggingFaceData(str(tmp_path), files=save(tmp_path, **parts))
    data.dataset("test")[torch.arange(5)]
    with pytest.raises(DataError, match="row 5 of test has nan in column 'a': expected a number"):
        data.dataset("test")[torch.arange(4, 8)]


def test_a_label_that_says_unknown_is_refused(tmp_path, numbers):
    parts = three(numbers, "a", "kind")
    parts["test"]["kind"] = np.full(40, -1)
    data = HuggingFaceData(str(tmp_path), files=save(tmp_path, **parts), label="kind")
    with pytest.raises(DataError, match="row 0 of test has the label -1"):
        whole(data, "test")
