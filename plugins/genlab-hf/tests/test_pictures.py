"""A column of images: pixels, sizes, labels, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as Pillow

from genlab.contracts import DataError, Support, UsageError
from genlab.data import image_folder
from genlab_hf import HuggingFaceData


def encoded(pixels: np.ndarray) -> dict:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def save(folder, cells, **columns) -> str:
    names = ClassLabel(names=["cat", "dog", "owl"])
    features = Features({"picture": Image(), **dict.fromkeys(columns, names)})
    dataset = Dataset.from_dict({"picture": cells, **columns}, features=features)
    dataset.to_parquet(folder / "pictures.parquet")
    return str(folder / "pictures.parquet")


def read_all(data) -> None:
    for split, part in data.parts.items():
        data.dataset(split)[torch.arange(len(part))]


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.Generator(np.random.PCG64(0)).integers(0, 256, (40, 5, 7), dtype=np.uint8)


def test_pixels_are_the_levels_of_the_file(tmp_path, grey):
    path = save(tmp_path, [encoded(x) for x in grey], kind=[i % 3 for i in range(40)])
    data = HuggingFaceData(path, image="picture", label="kind", mode="grey")
    assert (data.spec.shape, data.spec.support, data.spec.levels) == (
        (1, 5, 7),
        Support.LEVELS,
        256,
    )
    assert (data.spec.variant, data.spec.classes) == ("5×7 grey, 256 levels", 3)
    for split, part in data.parts.items():
        batch = data.dataset(split)[torch.arange(len(part))]
        expected = torch.from_numpy(grey[part.rows])[:, None].float() / 255
        assert torch.equal(batch.x, expected)
        assert data.spec.contains(batch.x)
        assert batch.label.tolist() == (part.rows % 3).tolist()


def test_colours_come_first_and_a_size_cuts_the_middle_as_genlab_does(tmp_path):
    """Against genlab's own folder of the same files."""
    stream, colours = np.random.Generator(np.random.PCG64(1)), []
    for k in range(30):
        colours.append(stream.integers(0, 256, (6 + k % 3, 12, 3), dtype=np.uint8))
        folder = tmp_path / "folder" / ("test" if k >= 20 else "val" if k >= 10 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(colours[-1]).save(folder / f"{k:02}.png")
    parts = {"train": slice(10), "validation": slice(10, 20), "test": slice(20, 30)}
    saved = DatasetDict(
        {
            name: Dataset.from_dict(
                {"picture": list(map(encoded, colours[rows]))}, Features({"picture": Image()})
            )
            for name, rows in parts.items()
        }
    )
    saved.save_to_disk(tmp_path / "saved")
    ours = HuggingFaceData(str(tmp_path / "saved"), image="picture", size=4)
    theirs = image_folder(str(tmp_path / "folder"), 4)
    assert ours.spec.shape == theirs.spec.shape == (3, 4, 4)
    for split in ("train", "val", "test"):
        rows = torch.arange(10)
        assert torch.equal(ours.dataset(split)[rows].x, theirs.dataset(split)[rows].x)


def test_pictures_are_turned_upright_and_set_on_white(tmp_path, grey):
    colours = np.random.Generator(np.random.PCG64(2)).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    turned = Pillow.Exif()
    turned[0x0112] = 6  # the first row is the right side
    file = io.BytesIO()
    Pillow.fromarray(np.rot90(colours)).save(file, "png", exif=turned)
    clear = io.BytesIO()
    layers = np.dstack([colours, np.zeros((4, 6), np.uint8)])
    Pillow.fromarray(layers).save(clear, "png")
    cells = [{"bytes": f.getvalue(), "path": None} for f in (file, clear)] * 15
    data = HuggingFaceData(save(tmp_path, cells), image="picture")
    x = data.dataset("train")[torch.arange(24)].x
    upright = torch.from_numpy(colours).permute(2, 0, 1) / 255
    expected = torch.stack([upright, torch.ones(3, 4, 6)])[data.parts["train"].rows % 2]
    assert torch.equal(x, expected)


def test_files_of_a_folder_are_read_by_their_paths(tmp_path, grey):
    for k, x in enumerate(grey):
        (tmp_path / "train" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(x).save(tmp_path / "train" / "ab"[k % 2] / f"{k}.png")
    data = HuggingFaceData(str(tmp_path), image="image", label="label", mode="grey")
    assert (data.spec.shape, data.spec.classes) == ((1, 5, 7), 2)
    x = data.dataset("train")[torch.arange(5)].x
    assert data.spec.contains(x)


def test_images_of_other_sizes_need_a_size(tmp_path, grey):
    cells = [encoded(x) for x in grey]
    cells[33] = encoded(np.zeros((9, 9), np.uint8))
    path = save(tmp_path, cells)
    data = HuggingFaceData(path, image="picture")
    message = r"row 33 of train is 9×9 and the first one 5×7: give data.size=N"
    with pytest.raises(DataError, match=message):
        read_all(data)
    assert HuggingFaceData(path, image="picture", size=5).spec.shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"bytes": b"no image", "path": None}, "cannot be read: no picture"),
        (None, "cannot be read: it is empty"),
        (encoded(np.zeros((5, 7), np.uint16)), "cannot be read: mode I;16: convert it to 8 bits"),
    ],
)
def test_what_is_no_image_is_named_with_its_row(tmp_path, grey, cell, message):
    path = save(tmp_path, [cell if k == 8 else encoded(x) for k, x in enumerate(grey)])
    data = HuggingFaceData(path, image="picture", mode="grey")
    with pytest.raises(DataError, match=rf"row 8 of train {message}"):
        read_all(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "pictures"}, r"data\.image=pictures: there is no such column.*picture"),
        ({"image": "kind"}, "data.image=kind: the column holds no images; those of picture do"),
        ({"image": "picture", "size": 0}, "data.size=0 must be at least 1"),
        ({}, "no column of picture, kind holds numbers: give data.image=COLUMN"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, grey, options, message):
    path = save(tmp_path, [encoded(x) for x in grey[:30]], kind=[0] * 30)
    with pytest.raises(UsageError, match=message):
        HuggingFaceData(path, **options)
