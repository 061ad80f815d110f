import gzip
import shutil

import numpy as np
import pytest
import torch

from genlab.contracts import DataError, Support
from genlab.data import Threshold, binarized_mnist, fashion_mnist, mnist
from genlab.data.files import find


def test_the_specs_are_known_without_files(folder):
    assert mnist().spec.shape == fashion_mnist().spec.shape == (1, 28, 28)
    assert (mnist().spec.levels, mnist().spec.classes) == (256, 10)
    fixed = binarized_mnist().spec
    assert (fixed.name, fixed.variant, fixed.support) == ("mnist", "fixed", Support.BINARY)
    assert mnist(preprocess=Threshold(128)).spec.variant == "threshold 128"


@pytest.mark.parametrize("make", [mnist, fashion_mnist, binarized_mnist])
def test_missing_files_are_reported_when_a_split_is_asked_for(folder, make):
    with pytest.raises(DataError, match="is missing"):
        make().dataset("train")


@pytest.mark.usefixtures("real_files")
def test_mnist_is_split_as_everywhere():
    data = mnist()
    assert [len(data.dataset(s)) for s in ("train", "val", "test")] == [50_000, 10_000, 10_000]
    first = data.dataset("train")[torch.arange(5)]
    assert first.label is not None
    assert first.label.tolist() == [5, 0, 4, 1, 9]
    whole = np.concatenate([data.source.arrays(s).x for s in ("train", "val")])
    assert whole.mean() / 255 == pytest.approx(
        0.1307, abs=5e-5
    )  # the mean that everybody subtracts


@pytest.mark.usefixtures("real_files")
def test_fashion_mnist_has_balanced_classes():
    data = fashion_mnist()
    assert [len(data.dataset(s)) for s in ("train", "val", "test")] == [50_000, 10_000, 10_000]
    label = data.dataset("test").label
    assert label is not None
    assert label.bincount().tolist() == [1000] * 10


@pytest.mark.usefixtures("real_files")
def test_fixed_binarised_mnist_has_its_published_density():
    data = binarized_mnist()
    means = [data.dataset(s).values.float().mean().item() for s in ("train", "val", "test")]
    assert means == pytest.approx([0.130562, 0.131127, 0.132512], abs=1e-6)
    assert data.dataset("train").label is None
    assert data.spec.contains(data.dataset("val")[torch.arange(100)].x)


@pytest.mark.usefixtures("real_files")
def test_binarised_test_rows_are_the_sorted_mnist_test_images():
    """Row i is a sample of the i-th MNIST test image after a stable sort by label."""
    grey, fixed = mnist().dataset("test"), binarized_mnist().dataset("test")
    assert grey.label is not None
    order = grey.label.argsort(stable=True)
    assert (fixed.values[grey.values[order] == 0] == 0).all()
    assert (fixed.values[grey.values[order] == 255] == 1).all()


@pytest.mark.usefixtures("real_files")
def test_an_altered_mnist_is_refused(tmp_path, monkeypatch):
    original = find("mnist/t10k-images-idx3-ubyte.gz")
    labels = find("mnist/t10k-labels-idx1-ubyte.gz")
    assert original is not None
    assert labels is not None
    (tmp_path / "mnist").mkdir()
    shutil.copy(labels, tmp_path / "mnist")
    pixels = bytearray(gzip.decompress(original.read_bytes()))
    pixels[5000] ^= 1
    (tmp_path / "mnist" / original.name).write_bytes(gzip.compress(pixels, compresslevel=1))
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path))
    with pytest.raises(DataError, match="is not the published file"):
        mnist().dataset("test")
