"""OMNIGLOT, the silhouettes and CIFAR-10: which rows, which way up, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from genlab.contracts import DataError, Support
from genlab.data import caltech_silhouettes, cifar, cifar10, cifar10_subset, omniglot, silhouettes
from genlab.data.files import find
from genlab.data.matlab import read_mat

SPLITS = ("train", "val", "test")


@pytest.mark.parametrize(
    ("make", "shape", "levels", "classes"),
    [
        (omniglot, (1, 28, 28), 256, 50),
        (caltech_silhouettes, (1, 28, 28), 2, 101),
        (cifar10, (3, 32, 32), 256, 10),
        (cifar10_subset, (3, 32, 32), 256, 10),
    ],
)
def test_specs_are_known_without_files(folder, make, shape, levels, classes):
    data = make()
    assert (data.spec.shape, data.spec.levels, data.spec.classes) == (shape, levels, classes)
    with pytest.raises(DataError, match="is missing"):
        data.dataset("train")


# ----------------------------------------------------------------------------------------- omniglot


@pytest.fixture
def two_characters(folder):
    """Drawings whose first pixel is their drawer: characters of the alphabets 7 and 49."""
    character, drawer = np.divmod(np.arange(2 * 15), 15)
    x = np.zeros((30, 28, 28), np.uint8)
    x[:, 0, 0] = drawer
    (folder / "omniglot").mkdir()
    np.savez(
        folder / "omniglot" / "omniglot_28.npz",
        train=x,
        train_character=character,
        train_drawer=drawer,
        test=x[:10] + 15,
        test_character=np.zeros(10, int),
        test_drawer=np.arange(10) % 5 + 15,
        alphabet_of_character=np.array([7, 49]),
    )


@pytest.fixture
def any_checksum(monkeypatch):
    monkeypatch.setattr("genlab.data.files.SHA256", {})


@pytest.mark.usefixtures("two_characters", "any_checksum")
def test_omniglot_is_split_by_drawer():
    data = omniglot()
    train, val = (data.dataset(split) for split in ("train", "val"))
    assert sorted(train.values[:, 0, 0, 0].unique().tolist()) == list(range(13))
    assert sorted(val.values[:, 0, 0, 0].tolist()) == [13, 13, 14, 14]
    assert len(data.dataset("test")) == 10
    assert val.label is not None
    assert val.label.tolist() == [7, 7, 49, 49]


@pytest.mark.usefixtures("real_files")
def test_no_drawing_of_omniglot_is_in_two_splits():
    data = omniglot()
    rows = [{x.tobytes() for x in data.source.arrays(split).x} for split in SPLITS]
    assert [len(data.dataset(split)) for split in SPLITS] == [21_099, 3246, 8115]
    alike = max(map(len, (rows[0] & rows[1], rows[0] & rows[2], rows[1] & rows[2])))
    assert alike < 10, "a few drawings, such as of one stroke, are alike"
    assert set(data.dataset("val").label.tolist()) == set(range(50))
    assert data.dataset("train").values.float().mean() < 64, "ink is bright and rare"


# -------------------------------------------------------------------------------------- silhouettes


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(name: str, x: np.ndarray) -> bytes:
    """A MATLAB 5 array of bytes, its name in a short tag where it fits."""
    flags = element(6, struct.pack("<II", 9, 0))
    sizes = element(5, np.array(x.shape, "<i4").tobytes())
    short = len(name) <= 4
    tag = struct.pack("<HH", 1, len(name)) + name.encode().ljust(4, b"\0")
    return element(
        14,
        flags + sizes + (tag if short else element(1, name.encode())) + element(2, x.tobytes("F")),
    )


def mat(**arrays: np.ndarray) -> bytes:
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    for k, (name, x) in enumerate(arrays.items()):
        whole = matrix(name, x)
        packed = zlib.compress(whole)
        content += struct.pack("<II", 15, len(packed)) + packed if k % 2 else whole
    return content


def test_matlab_arrays_are_read_in_both_forms(tmp_path):
    a, b = np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(4, dtype=np.uint8)[None]
    (tmp_path / "a.mat").write_bytes(mat(long_name=a, b=b, ab=a))
    found = read_mat(tmp_path / "a.mat")
    theirs = scipy.io.loadmat(tmp_path / "a.mat")
    assert set(found) == {"long_name", "b", "ab"}
    assert all((found[name] == theirs[name]).all() for name in found)


@pytest.mark.parametrize(
    "content", [b"", b"not MATLAB" * 50, mat(a=np.zeros((3, 9), np.uint8))[:-9]]
)
def test_what_is_no_complete_matlab_file_is_refused(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match="no complete MATLAB 5 file"):
        read_mat(tmp_path / "a.mat")


@pytest.fixture
def silhouette(folder, monkeypatch):
    """One object in each split: the top row of pixels, stored by columns, 0 on 1."""
    monkeypatch.setattr(silhouettes, "SIZES", dict.fromkeys(SPLITS, 1))
    upright = np.ones((28, 28), np.uint8)
    upright[0] = 0
    stored = upright.T.reshape(1, 784)
    (folder / "caltech101_silhouettes").mkdir()
    return stored, folder / "caltech101_silhouettes"


@pytest.mark.parametrize("form", ["npz", "mat"])
@pytest.mark.usefixtures("any_checksum")
def test_silhouettes_are_upright_and_one(silhouette, form):
    stored, where = silhouette
    label = np.array([[101]], np.uint8)
    if form == "mat":
        arrays = {f"{s}_data": stored for s in SPLITS} | {f"{s}_labels": label for s in SPLITS}
        (where / "caltech101_silhouettes_28_split1.mat").write_bytes(mat(**arrays))
    else:
        parts = ("train", "valid", "test")
        arrays = {s: np.packbits(stored, axis=1) for s in parts}
        arrays |= {f"{s}_labels": label[0] for s in parts}
        np.savez(where / "caltech101_silhouettes_28.npz", n_vars=784, **arrays)
    x, labels, _ = caltech_silhouettes().dataset("val")[torch.arange(1)]
    assert labels is not None
    assert labels.tolist() == [100]
    assert x[0, 0, 0].sum() == x.sum() == 28


@pytest.mark.usefixtures("real_files")
def test_both_files_of_the_silhouettes_hold_the_same(monkeypatch):
    packed = [caltech_silhouettes().source.arrays(split) for split in SPLITS]
    assert [len(part.x) for part in packed] == [4100, 2264, 2307]
    assert packed[0].x.mean() == pytest.approx(1 - 0.551, abs=1e-3)
    original = find(silhouettes.Silhouettes.ORIGINAL)
    if original is None:
        pytest.skip("the original MATLAB file is not there")
    monkeypatch.setattr(
        silhouettes, "find", lambda name: original if name.endswith(".mat") else None
    )
    for split, part in zip(SPLITS, packed, strict=True):
        theirs = caltech_silhouettes().source.arrays(split)
        assert (theirs.x == part.x).all()
        assert (theirs.label == part.label).all()


# ------------------------------------------------------------------------------------------ CIFAR-10


@pytest.fixture
def official(folder, monkeypatch) -> Path:
    """Six files of 20 pictures; red is the file's number, green the row, blue the picture's number."""
    monkeypatch.setattr(cifar, "BATCH", 20)
    monkeypatch.setattr(cifar, "HELD_OUT", 10)
    where = folder / "cifar-10-batches-bin"
    where.mkdir()
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    for k, name in enumerate(names):
        x = np.zeros((20, 3, 32, 32), np.uint8)
        x[:, 0], x[:, 1] = k, np.arange(32)[:, None]
        x[:, 2] = np.arange(20)[:, None, None]
        label = np.arange(20, dtype=np.uint8)[:, None] % 10
        np.concatenate([label, x.reshape(20, -1)], axis=1).tofile(where / name)
    return where


def test_official_batches_in_order_with_the_last_held_out(official):
    data = cifar10()
    x = {split: data.dataset(split).values for split in SPLITS}
    assert [len(x[split]) for split in SPLITS] == [90, 10, 20]
    assert x["train"][:, 0, 0, 0].tolist() == [0] * 20 + [1] * 20 + [2] * 20 + [3] * 20 + [4] * 10
    assert x["val"][:, 2, 0, 0].tolist() == list(range(10, 20))
    assert (x["test"][:, 0] == 5).all()
    assert (x["test"][0, 1] == torch.arange(32)[:, None]).all(), "rows go down"
    label = data.dataset("val").label
    assert label is not None
    assert label.tolist() == list(range(10))


def test_a_batch_of_another_size_is_refused(official):
    with (official / "test_batch.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="a batch of CIFAR-10"):
        cifar10().dataset("test")


@pytest.mark.usefixtures("real_files")
def test_the_subset_is_called_so():
    data = cifar10_subset()
    assert data.spec.variant == "subset, 256 levels"
    assert data.spec.support is Support.LEVELS
    assert [len(data.dataset(split)) for split in SPLITS] == [10_000, 1000, 1000]
    label = data.dataset("train").label
    assert label is not None
    assert label.bincount().tolist() == [1000] * 10
    mean = data.dataset("train").values.float().mean((0, 2, 3)) / 255
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01), "red, green, blue"


@pytest.mark.usefixtures("any_checksum")
def test_channels_of_the_subset_come_first_and_rows_go_down(folder):
    x = np.zeros((2, 32, 32, 3), np.uint8)
    x[..., 0], x[..., 1] = np.arange(32)[:, None], 7
    (folder / "cifar10_subset").mkdir()
    arrays = dict.fromkeys(("train", "valid", "test"), x)
    arrays |= {f"{s}_labels": np.zeros(2, np.uint8) for s in ("train", "valid", "test")}
    np.savez(folder / "cifar10_subset" / "cifar10_subset.npz", **arrays)
    found = cifar10_subset().dataset("val").values
    assert (found[:, 0] == torch.arange(32)[:, None]).all()
    assert (found[:, 1] == 7).all()
