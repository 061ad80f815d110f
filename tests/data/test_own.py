from itertools import chain

import numpy as np
import pytest
import torch

from genlab.contracts import DataError, Support
from genlab.data import Threshold, npz

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (100, 6), dtype=np.uint8)
GREY = RNG.integers(0, 17, (40, 4, 5), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return str(tmp_path / "mine.npz")

    return write


def sizes(data):
    return [len(data.dataset(split)) for split in ("train", "val", "test")]


def test_one_array_is_split_into_disjoint_parts(save):
    path = save(x=np.arange(200, dtype=np.uint8).reshape(100, 2))
    data = npz(path)
    parts = [data.dataset(split).values[:, 0].tolist() for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(chain(*parts)) == list(range(0, 200, 2))
    assert npz(path).dataset("val").values.tolist() == data.dataset("val").values.tolist()
    assert npz(path, seed=1).dataset("val").values.tolist() != data.dataset("val").values.tolist()


def test_given_splits_are_kept(save):
    path = save(train=BITS[:60], val=BITS[60:70], test=BITS[70:])
    assert sizes(npz(path)) == [60, 10, 30]
    assert (npz(path).dataset("train").values.numpy() == BITS[:60]).all()
    assert sizes(npz(save(train=BITS[:60], test=BITS[70:]))) == [54, 6, 30]


def test_the_numbers_decide_the_support(save):
    binary = npz(save(x=BITS)).spec
    assert (binary.name, binary.variant, binary.shape) == ("mine", "fixed", (6,))
    grey = npz(save(x=GREY)).spec
    assert (grey.support, grey.levels, grey.shape) == (Support.LEVELS, 256, (1, 4, 5))
    assert npz(save(x=GREY), levels=17).spec.variant == "17 levels"
    assert npz(save(x=GREY), levels=17, preprocess=Threshold(8)).spec.variant == "threshold 8"
    real = npz(save(x=RNG.normal(size=(50, 3)))).spec
    assert (real.support, real.shape) == (Support.REAL, (3,))


def test_pictures_get_their_channels_first(save):
    colour = RNG.integers(0, 256, (20, 8, 6, 3), dtype=np.uint8)
    last, first = npz(save(train=colour)), npz(save(train=colour.transpose(0, 3, 1, 2)))
    assert last.spec.shape == first.spec.shape == (3, 8, 6)
    assert torch.equal(last.dataset("train").values, first.dataset("train").values)


def test_packed_rows_are_unpacked(save):
    path = save(train=np.packbits(BITS, axis=1), valid=np.packbits(BITS[:9], axis=1), n_vars=6)
    assert npz(path).spec.shape == (6,)
    assert (npz(path).dataset("val").values.numpy() == BITS[:9]).all()


def test_labels_stay_with_their_rows(save):
    x = np.arange(100, dtype=np.uint8)[:, None]
    data = npz(save(x=x, labels=x[:, 0] // 10))
    assert data.spec.classes == 10
    for split in ("train", "val", "test"):
        batch = data.dataset(split)[torch.arange(10)]
        assert batch.label is not None
        assert ((batch.x[:, 0] * 255).round() // 10).tolist() == batch.label.tolist()
    split = npz(save(train=x, train_labels=x[:, 0], test=x, test_labels=x[:, 0]))
    assert split.spec.classes == 100


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"y": BITS}, "needs an array named train or x"),
        ({"x": np.array([{}, {}])}, "holds Python objects"),
        ({"x": np.array([["a", "b"]])}, "holds <U1"),
        ({"x": np.full((30, 2), np.nan)}, "60 entries that are NaN"),
        ({"x": np.arange(300)[:, None]}, "save it as float"),
        ({"x": np.zeros(10, np.uint8)}, "expected \\(N, D\\)"),
        ({"x": np.zeros((0, 4), np.uint8)}, "expected \\(N, D\\)"),
        ({"x": np.zeros((9, 5, 5, 5), np.uint8)}, "with 1 or 3 channels"),
        ({"x": BITS[:5]}, "too few to hold out"),
        ({"train": BITS, "test": BITS[:, :3]}, "differ in type or shape"),
        ({"train": BITS, "test": BITS.astype(float)}, "differ in type or shape"),
        ({"train": BITS, "train_labels": np.ones(100, int), "test": BITS}, "some splits only"),
        ({"x": BITS, "labels": np.ones(7, int)}, "expected 100 whole numbers"),
        ({"x": BITS, "labels": np.ones(100)}, "expected 100 whole numbers"),
    ],
)
def test_what_cannot_be_used_is_explained(save, arrays, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        npz(save(**arrays))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"data.path=nowhere.npz does not exist"):
        npz("nowhere.npz")


def test_levels_must_hold_the_numbers(save):
    with pytest.raises(DataError, match=r"levels=5 does not fit .*levels=17 … 256"):
        npz(save(x=GREY), levels=5)
    with pytest.raises(DataError, match="leave out levels"):
        npz(save(x=GREY.astype(float)), levels=17)
