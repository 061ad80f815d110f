"""``genlab data shard`` and ``check`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.cli.main import main
from genlab.data import Shards, npz


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("big.npz", x=np.random.default_rng(0).integers(0, 2, (100, 6)))
    return tmp_path


def test_written_and_checked(here, capsys):
    assert main(["data", "shard", "data=npz", "data.path=big.npz", "-o", "big", "--rows", "9"]) == 0
    assert capsys.readouterr().out == "big: big (fixed), train 80, val 10, test 10\n"
    assert Shards("big").spec == npz("big.npz").spec
    assert main(["data", "check", "big"]) == 0
    assert capsys.readouterr().out.split() == ["big", "6", "13", "files", "verified"]
    path = here / "big" / "val-x-00000.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main(["data", "check", "big"]) == 2
    assert capsys.readouterr().out.split() == ["big", "6", "val-x-00000.npy", "altered"]
    assert main(["data", "check", "big", "--json"]) == 2
    (status,) = json.loads(capsys.readouterr().out)
    assert len(status["files"]) == 13


def test_a_bare_name_is_that_of_a_set(here):
    assert main(["data", "shard", "digits_binary", "-o", "bare"]) == 0
    assert main(["data", "shard", "data=digits_binary", "-o", "spelled"]) == 0
    assert Path("bare/index.json").read_bytes() == Path("spelled/index.json").read_bytes()


def test_shards_are_data_of_a_run(here, capsys):
    assert main(["data", "shard", "data=npz", "data.path=big.npz", "-o", "big"]) == 0
    words = ["model=independent", "gallery=false", "evaluate=[test]"]
    scores = []
    for data in (["data=npz", "data.path=big.npz"], ["data=shards", "data.path=big"]):
        assert main(["train", *words, *data, f"folder={data[0][5:]}"]) == 0
        (score,) = here.glob(f"{data[0][5:]}/*/scores/test-*.json")
        scores.append(json.loads(score.read_text()))
    one, other = scores
    assert one["data"] == other["data"]
    assert one["nats"] == other["nats"]
    assert one["floor"] == other["floor"]


def test_shards_for_other_readers(here, capsys):
    words = ["data=npz", "data.path=big.npz", "-o", "big", "--format", "safetensors"]
    assert main(["data", "shard", *words]) == 0
    assert main(["data", "check", "big"]) == 0
    assert "verified" in capsys.readouterr().out
    rows = torch.arange(80)
    assert torch.equal(
        Shards("big").dataset("train")[rows].x, npz("big.npz").dataset("train")[rows].x
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("shard", "genlab data shard takes one NAME or data=NAME, what that needs, and -o DIR"),
        ("shard digits", "and -o DIR: genlab data shard data=npz data.path=big.npz -o big"),
        ("shard data=digits", "and -o DIR: genlab data shard data=npz data.path=big.npz -o big"),
        ("shard data.path=big.npz -o d", "genlab data shard takes one NAME or data=NAME"),
        ("shard digits mnist -o d", "mnist: genlab data shard takes one NAME"),
        ("shard digits data=mnist -o d", "data=mnist: genlab data shard takes one NAME"),
        ("shard data=digits mnist -o d", "mnist: genlab data shard takes one NAME"),
        ("shard digist -o d", "did you mean 'digits'?"),
        ("shard data=digits model=made -o d", "model=made: genlab data shard takes"),
        ("shard data=digist -o d", "did you mean 'digits'?"),
        ("shard debd/plants -o d", "debd/plants.npz is missing"),
        ("shard debd data.name=plants -o d", "debd/plants.npz is missing"),
        ("shard data=npz -o d", "data.path"),
        ("shard data=npz data.path=no.npz -o d", "data.path=no.npz does not exist"),
        ("shard data=npz data.pth=big.npz -o d", "did you mean 'path'?"),
        ("shard data=mnist_dynamic -o d", "genlab data fetch mnist"),
        ("shard data=digits -o big.npz", "big.npz is there already"),
        ("shard data=digits -o d --rows -1", "--rows -1: a file holds at least 1"),
        ("shard data=digits -o d --format csv", "--format csv: files are npy or safetensors"),
        ("shard data=digits -o d --format ''", "--format '': files are npy or safetensors"),
        (
            "check digits --format npy",
            "--format is of genlab data shard: genlab data check takes none",
        ),
        ("list -o d", "-o is of genlab data shard: genlab data list takes none"),
        ("check digits --rows 3", "--rows is of genlab data shard: genlab data check takes none"),
        ("shard data=digits -o d --to d", "--to says where to fetch"),
        ("check .", "holds no index.json that can be read"),
        ("check nowhere", "there is no data set 'nowhere'"),
    ],
)
def test_mistakes_are_one_line(here, capsys, monkeypatch, words, says):
    monkeypatch.setenv("GENLAB_DATA", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    before = sorted(here.iterdir())
    assert main(["data", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert sorted(here.iterdir()) == before


def test_training_on_a_folder_that_is_none(here, capsys):
    assert main(["train", "data=shards", "data.path=nowhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere holds no index.json that can be read: give a folder" in line
    assert not (here / "runs").exists()
