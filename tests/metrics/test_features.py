"""The feature network: good enough, kept, the same each time, and without a trace elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.contracts import DataError
from genlab.data import ArrayData, Threshold, binarized_mnist, debd, digits, files, npz, toy2d
from genlab.data.source import Arrays
from genlab.metrics import Raw, features, features_for
from genlab.randomness import generator


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "genlab" / "features"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps only."""
    monkeypatch.setattr(features, "STEPS", 20)


@pytest.mark.parametrize("preprocess", [None, Threshold(8)], ids=["greys", "bits"])
def test_digits_are_told_apart(folder, preprocess):
    found = features_for(digits(preprocess=preprocess))
    assert found.accuracy is not None
    assert found.accuracy >= 0.97


@pytest.mark.usefixtures("short")
def test_a_network_is_trained_once_and_kept(folder, monkeypatch):
    first = features_for(digits())
    (file,) = folder.iterdir()
    x = digits().dataset("test")[torch.arange(50)].x
    monkeypatch.setattr(features, "train", lambda data: pytest.fail("trained again"))
    state = torch.get_rng_state()
    second = features_for(digits())
    assert torch.equal(torch.get_rng_state(), state)
    assert first.name == second.name
    assert first.accuracy == second.accuracy
    assert torch.equal(first.of(x), second.of(x))
    assert first.of(x).shape == (50, 64)
    assert file.stat().st_size < 2**20


@pytest.mark.usefixtures("short")
def test_training_is_repeatable_and_leaves_the_random_state_alone(folder):
    torch.manual_seed(1)
    one = features_for(digits()).name
    state = torch.get_rng_state()
    for file in folder.iterdir():
        file.unlink()
    torch.manual_seed(1)
    assert features_for(digits()).name == one
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    for file in folder.iterdir():
        file.unlink()
    assert features_for(digits()).name == one


@pytest.mark.usefixtures("short")
def test_other_data_have_another_network(folder):
    names = {features_for(data).name for data in (digits(), digits(preprocess=Threshold(8)))}
    assert len(names) == len(list(folder.iterdir())) == 2
    assert all(name.startswith("cnn64-") for name in names)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "other"])
def test_a_damaged_file_is_made_anew(folder, capsys, damage):
    name = features_for(digits()).name
    (file,) = folder.iterdir()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-500])
    elif damage == "other":
        torch.save({"state": {"body.weight": torch.zeros(2)}, "accuracy": 1.0}, file)
    else:
        file.write_bytes(damage)
    assert features_for(digits()).name == name
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("short")
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert features_for(digits()).name.startswith("cnn64-")
    assert "cannot be kept" in capsys.readouterr().err


class Payload:
    """Code that would run if the file were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.usefixtures("short")
def test_a_hostile_file_runs_nothing(folder, tmp_path):
    features_for(digits())
    (file,) = folder.iterdir()
    torch.save({"state": Payload(tmp_path / "ran"), "accuracy": 1.0}, file)
    features_for(digits())
    assert not (tmp_path / "ran").exists()


def test_the_points_of_a_plane_are_their_own_features(folder):
    data = toy2d("moons", n=100)
    assert isinstance(features_for(data), Raw)
    x = data.dataset("test")[torch.arange(20)].x
    assert torch.equal(features_for(data).of(x), x)


def test_unlabelled_tables_are_their_own_features(folder):
    assert debd("nltcs").labelled is None
    assert features_for(debd("nltcs")).name == "raw"


def test_unlabelled_images_are_their_own_features(folder, tmp_path):
    bits = torch.randint(0, 2, (60, 6, 6), generator=generator("own")).byte().numpy()
    np.savez(tmp_path / "own.npz", train=bits)
    assert features_for(npz(str(tmp_path / "own.npz"))).name == "raw"


def test_the_fixed_binarisation_learns_from_labelled_relatives():
    relative = binarized_mnist().labelled
    assert relative is not None
    assert relative.spec.classes == 10
    assert relative.spec.support == binarized_mnist().spec.support
    assert (relative.spec.name, relative.spec.shape) == ("mnist", (1, 28, 28))


def test_missing_relatives_are_named(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "folders", lambda: [tmp_path])
    with pytest.raises(
        DataError, match=r"learned from the labels of mnist \(dynamic\): mnist/train"
    ):
        features_for(binarized_mnist())


@pytest.mark.usefixtures("short")
def test_data_that_redraw_themselves_are_redrawn(folder, monkeypatch):
    """Each epoch of the classifier sees another binarisation."""
    seen = []
    data = binarized_mnist().labelled
    assert isinstance(data, ArrayData)
    few = Arrays(np.full((200, 1, 28, 28), 128, np.uint8), np.arange(200) % 10)
    monkeypatch.setattr(data.source, "arrays", lambda split: few)
    original = type(data.preprocess).values
    monkeypatch.setattr(
        type(data.preprocess),
        "values",
        lambda self, source, split, epoch=0: (
            seen.append(epoch) or original(self, source, split, epoch)
        ),
    )
    features.train(data)
    assert sorted(set(seen)) == list(range(10))
