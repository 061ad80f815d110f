"""As runs of genlab: what its page says to type is understood, of files and of names on the hub."""

from __future__ import annotations

import re
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image

from genlab.cli.main import main

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = re.findall(r"^genlab train (.*)$", README, re.MULTILINE)
SAID = ("MADE on table", "Diffusion on photos", "MADE on mnist", "MADE on name")


def pictures(side: int, label: str | None = None) -> Dataset:
    """30 of them, as ``datasets`` keeps them in a column ``image``."""
    stream = np.random.Generator(np.random.PCG64(0))
    columns = {"image": list(stream.integers(0, 256, (30, side, side, 3), dtype=np.uint8))}
    features = {"image": Image()}
    if label is not None:
        columns[label] = [i % 3 for i in range(30)]
        features[label] = ClassLabel(names=["cat", "dog", "owl"])
    return Dataset.from_dict(columns, features=Features(features))


@pytest.fixture
def here(tmp_path, numbers, monkeypatch) -> None:
    """A folder with the files of the page, and their likes where the hub would be asked."""
    monkeypatch.chdir(tmp_path)
    table = Dataset.from_dict({name: numbers[name] for name in ("a", "b", "kind")})
    table.to_parquet("table.parquet")
    pictures(40).to_parquet("photos.parquet")
    load, build = datasets.load_dataset, datasets.load_dataset_builder

    def loaded(path: str, **options):
        if path == "ylecun/mnist":
            return DatasetDict({"train": pictures(28, "label"), "test": pictures(28, "label")})
        return load(path, **options)

    def built(path: str, cache_dir: str, **_):
        assert path == "owner/name"
        return build("parquet", data_files="table.parquet", cache_dir=cache_dir)

    monkeypatch.setattr(datasets, "load_dataset", loaded)
    monkeypatch.setattr(datasets, "load_dataset_builder", built)


@pytest.mark.parametrize(("words", "said"), list(zip(COMMANDS, SAID, strict=True)))
def test_commands_of_the_readme_begin(words, said, here, capsys):
    assert main(["config", "check", *words.split()]) == 0, capsys.readouterr().err
    assert said in capsys.readouterr().out
