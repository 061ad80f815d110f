"""Every configs/data/*.yaml builds a data module."""

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from genlab.data import ArrayData, Shards, digits, write_shards

FOLDER = Path(__file__).parents[2] / "configs" / "data"
FILES = sorted(FOLDER.glob("*.yaml"))

VARIANTS = {
    "caltech_silhouettes": "object 1, fixed",
    "cifar10": "256 levels",
    "cifar10_subset": "subset, 256 levels",
    "debd": "fixed",
    "digits": "17 levels",
    "digits_binary": "threshold 8",
    "fashion_mnist": "256 levels",
    "heartbeat": "fixed",
    "image_folder": "8×8 rgb, 256 levels",
    "mnist": "256 levels",
    "mnist_binary": "fixed",
    "mnist_dynamic": "dynamic",
    "mnist_threshold": "threshold 128",
    "nade_uci": "fixed",
    "npz": "fixed",
    "omniglot": "area average, 256 levels",
    "omniglot_binary": "area average, threshold 128",
    "omniglot_dynamic": "area average, dynamic",
    "shards": "17 levels",
    "toy2d": "standardised",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_builds_its_set_without_files(file, tmp_path, folder):
    config = OmegaConf.load(file)
    if file.stem == "npz":
        np.savez(tmp_path / "mine.npz", x=np.eye(20, dtype=np.uint8))
        config.path = str(tmp_path / "mine.npz")
    if file.stem == "image_folder":
        for k in range(30):
            Image.new("L", (9, 9)).save(tmp_path / f"{k}.png")
        config.path, config.size = str(tmp_path), 8
    if file.stem == "shards":
        write_shards(digits(), tmp_path / "shards")
        config.path = str(tmp_path / "shards")
    data = instantiate(config)
    assert isinstance(data, Shards if file.stem == "shards" else ArrayData)
    assert data.spec.variant == VARIANTS[file.stem]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_begins_with_one_sentence(file):
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_no_config_is_missing():
    assert [file.stem for file in FILES] == sorted(VARIANTS)


def test_another_table_is_one_override():
    config = OmegaConf.merge(OmegaConf.load(FOLDER / "debd.yaml"), {"name": "plants"})
    assert instantiate(config).spec.shape == (69,)
