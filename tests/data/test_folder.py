"""A person's own pictures: splits, labels, turning, cutting, and files that are no pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.contracts import DataError, UsageError
from genlab.data import Threshold, image_folder

SPLITS = ("train", "val", "test")


def put(path, value=0, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


@pytest.fixture
def many(tmp_path):
    for k in range(60):
        put(tmp_path / ("cats" if k % 2 else "dogs") / f"{k:02}.png", k)
    return tmp_path


def whole(data) -> dict[str, list[int]]:
    return {split: data.dataset(split).values[:, 0, 0, 0].tolist() for split in SPLITS}


def test_pictures_are_split_by_their_names_alone(many):
    before = whole(image_folder(str(many), 4, "grey"))
    assert sorted(k for part in before.values() for k in part) == list(range(60))
    assert all(3 <= len(before[split]) <= 10 for split in ("val", "test"))
    assert whole(image_folder(str(many), 4, "grey")) == before
    assert whole(image_folder(str(many), 4, "grey", seed=1)) != before
    for k in range(60, 80):
        put(many / "cats" / f"new{k}.png", k)
    after = whole(image_folder(str(many), 4, "grey"))
    assert all(set(before[split]) <= set(after[split]) for split in SPLITS)


def test_equal_names_in_two_folders_are_two_pictures(tmp_path):
    for k in range(100):
        put(tmp_path / "a" / f"{k}.png", k)
        put(tmp_path / "b" / f"{k}.png", k)
    for split, values in whole(image_folder(str(tmp_path), 4, "grey")).items():
        assert len(set(values)) < len(values) if split == "train" else len(set(values)) > 1
        assert sorted(values) != sorted(2 * list(set(values))), "both or none, always"


def test_folders_of_classes_are_the_labels(many):
    data = image_folder(str(many), 4, "grey")
    assert (data.spec.classes, data.spec.shape) == (2, (1, 4, 4))
    _, label, _ = data.dataset("train")[torch.arange(len(data.dataset("train")))]
    assert label is not None
    assert label.tolist() == [k % 2 == 0 for k in data.dataset("train").values[:, 0, 0, 0].tolist()]
    put(many / "loose.png")
    assert image_folder(str(many), 4).spec.classes == 0


def test_given_splits_are_kept(tmp_path):
    for split, k in (("train", 1), ("valid", 2), ("test", 3)):
        for name in ("a", "b"):
            put(tmp_path / split / name / "x.png", k)
    data = image_folder(str(tmp_path), 4, "grey")
    assert whole(data) == {"train": [1, 1], "val": [2, 2], "test": [3, 3]}
    label = data.dataset("test").label
    assert label is not None
    assert label.tolist() == [0, 1]
    put(tmp_path / "test" / "c" / "x.png")
    with pytest.raises(DataError, match="lies in no folder of a class"):
        image_folder(str(tmp_path), 4)


def test_the_middle_is_cut_out_and_scaled(tmp_path):
    """White in the middle third of a wide picture: what is left and right of it goes."""
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    for k in range(40):
        Image.fromarray(wide).save(tmp_path / f"{k}.png")
    data = image_folder(str(tmp_path), 10, "grey")
    x = data.dataset("train").values
    assert (x[..., 1:-1] == 255).all()
    assert (x > 200).all(), "bicubic, at the edge of what is cut"


def test_colours_and_transparency(tmp_path):
    for k in range(40):
        put(tmp_path / f"{k}.png", (255, 0, 0, 255) if k % 2 else (0, 0, 0, 0), (8, 8), "RGBA")
    x = image_folder(str(tmp_path), 4).dataset("train").values
    colours = {tuple(row) for row in x[:, :, 0, 0].tolist()}
    assert colours == {(255, 0, 0), (255, 255, 255)}, "what is transparent is white"


def test_pictures_are_turned_as_the_camera_says(tmp_path):
    sky = np.zeros((16, 16), np.uint8)
    sky[:, 8:] = 255  # to the right in the file; the camera was held on its side
    exif = Image.Exif()
    exif[0x0112] = 8  # turn it by a quarter to the left: the right goes up
    for k in range(40):
        Image.fromarray(sky).save(tmp_path / f"{k}.png", exif=exif)
    x = image_folder(str(tmp_path), 16, "grey").dataset("train").values
    assert (x[:, 0, :8] == 255).all()
    assert (x[:, 0, 8:] == 0).all()


def test_files_that_are_no_pictures_are_named_in_one_line(many):
    (many / "cats" / "01.png").write_bytes(b"not a picture")
    content = (many / "cats" / "03.png").read_bytes()
    (many / "cats" / "03.png").write_bytes(content[:40])
    Image.new("I;16", (9, 9)).save(many / "cats" / "05.png")
    (many / "cats" / "notes.txt").write_text("left out")
    data = image_folder(str(many), 4)
    found = []
    for split in SPLITS:
        try:
            data.dataset(split)
        except DataError as error:
            found.append(str(error))
    assert all(any(f"cats/{k}.png" in line for line in found) for k in ("01", "03", "05"))
    assert all("\n" not in line and "cannot be read" in line for line in found)


def test_only_the_folder_itself(many):
    for k in range(40):
        put(many / f"{k}.png", 200)
    assert set(whole(image_folder(str(many), 4, "grey", recursive=False))["train"]) == {200}


def test_other_ways_to_see_them(many):
    data = image_folder(str(many), 4, "grey", preprocess=Threshold(30))
    assert data.spec.variant == "4×4 grey, threshold 30"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"path": "nowhere", "size": 4}, "is no folder"),
        ({"path": ".", "size": 0}, "size=0 must be at least 1"),
        ({"path": ".", "size": 4}, "no picture for train"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        image_folder(**options)
