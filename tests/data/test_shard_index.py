"""A folder of shards from a stranger: read, or refused in one line; nothing outside of it is touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from genlab.contracts import DataError
from genlab.data import Shards, digits, shards_status, write_shards
from tests.data.sharded import change, resave, written


@pytest.fixture
def shards(tmp_path) -> Path:
    return Path(written(digits(), tmp_path / "shards", 500))


def opened(folder: Path) -> Shards:
    data = Shards(str(folder))
    for split in ("train", "val", "test"):
        data.dataset(split)
    return data


def refused(folder: Path) -> str:
    """The one line that opening the folder and its splits gives."""
    with pytest.raises(DataError) as caught:
        opened(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert str(folder) in line
    return line


def test_a_whole_folder_is_read(shards):
    assert len(opened(shards).dataset("train")) == 1300


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"[]", "the index needs a whole number 'schema'"),
        (b"null", "the index needs a whole number 'schema'"),
        (b'{"schema": 2}', "has schema 2, and this version of genlab reads 1"),
        (b'{"schema": true}', "needs a whole number 'schema'"),
        (b'{"schema": 1}', "needs an object 'spec'"),
    ],
)
def test_what_is_no_index(shards, content, says):
    (shards / "index.json").write_bytes(content)
    assert says in refused(shards)


def test_folders_that_are_none(tmp_path):
    assert "holds no index.json" in refused(tmp_path / "nowhere")
    assert "genlab data shard has written" in refused(tmp_path)
    (tmp_path / "file").write_text("")
    assert "holds no index.json" in refused(tmp_path / "file")
    (tmp_path / "index.json").mkdir()
    assert "holds no index.json" in refused(tmp_path)


TRAIN = ("splits", "train")


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("spec",), [], "needs an object 'spec'"),
        (("spec", "extra"), 1, "spec has"),
        (("spec", "name"), 3, "spec needs a text 'name'"),
        (("spec", "shape"), [], "must have positive entries"),
        (("spec", "shape"), [1, -8, 8], "shape [1, -8, 8]"),
        (("spec", "shape"), [1, 8.0, 8], "shape [1, 8.0, 8]"),
        (("spec", "shape"), [1, True, 8], "shape [1, True, 8]"),
        (("spec", "shape"), [2**40], "shape [1099511627776]"),
        (("spec", "support"), "lines", "support 'lines', expected binary, levels, real"),
        (("spec", "support"), "real", "REAL data and has no levels"),
        (("spec", "levels"), None, "needs levels >= 2"),
        (("spec", "levels"), 1, "levels 1"),
        (("spec", "levels"), 17.5, "levels 17.5"),
        (("spec", "levels"), 1000, "the dtype 'uint8', expected uint16"),
        (("spec", "log_scale"), "0", "needs a number 'log_scale'"),
        (("spec", "log_scale"), float("nan"), "NaN is no number"),
        (("spec", "log_scale"), 1.0, "log_scale belongs to REAL data"),
        (("spec", "classes"), 0, "spec has 0 classes, and train has labels"),
        (("spec", "classes"), 1000, "expected uint16"),
        (("spec", "classes"), -1, "classes -1"),
        (("splits",), None, "needs an object 'splits'"),
        (TRAIN, None, "splits needs an object 'train'"),
        ((*TRAIN, "x"), None, "train needs an object 'x'"),
        ((*TRAIN, "label"), None, "spec has 10 classes, and train has no labels"),
        ((*TRAIN, "label"), 3, "train needs an object 'label'"),
        ((*TRAIN, "x", "dtype"), "object", "the dtype 'object', expected uint8"),
        ((*TRAIN, "x", "dtype"), "float32", "the dtype 'float32', expected uint8"),
        ((*TRAIN, "x", "shards"), [], "x of train has no shards"),
        ((*TRAIN, "x", "shards"), [3], "needs a text 'file'"),
        ((*TRAIN, "x", "shards", 0, "file"), None, "needs a text 'file'"),
        ((*TRAIN, "x", "shards", 0, "sha256"), 5, "needs a text 'sha256'"),
        ((*TRAIN, "x", "shards", 0, "rows"), "500", "needs a whole number 'rows'"),
        ((*TRAIN, "x", "shards", 0, "rows"), 0, "has 0 rows"),
        ((*TRAIN, "x", "shards", 0, "rows"), -500, "has -500 rows"),
        ((*TRAIN, "x", "shards", 0, "rows"), 499, "train has 1299 rows and 1300 labels"),
        ((*TRAIN, "x", "shards", 0, "rows"), 2**70, "and 1300 labels"),
    ],
)
def test_an_index_that_is_wrong(shards, where, value, says):
    def edit(content):
        for key in where[:-1]:
            content = content[key]
        content[where[-1]] = value

    change(shards, edit)
    assert says in refused(shards)


def test_rows_beyond_counting(shards):
    def edit(content):
        for column in ("x", "label"):
            content["splits"]["train"][column]["shards"][0]["rows"] = 2**70

    change(shards, edit)
    assert "the index says '|u1' (1180591620717411303424, 1, 8, 8)" in refused(shards)


@pytest.mark.parametrize(
    "file",
    ["../outside.npy", "/etc/passwd", "a/../../outside.npy", "..", "link.npy", "loop/x"],
)
def test_paths_that_lead_out(shards, file):
    (shards.parent / "outside.npy").write_bytes((shards / "train-x-00000.npy").read_bytes())
    (shards / "link.npy").symlink_to(shards.parent / "outside.npy")
    (shards / "loop").symlink_to(shards / "loop")
    change(shards, lambda index: index["splits"]["train"]["x"]["shards"][0].update(file=file))
    assert "which is not inside of the folder" in refused(shards)
    with pytest.raises(DataError, match="not inside of the folder"):
        shards_status(shards)


def test_a_folder_may_be_reached_by_a_link(shards):
    (shards.parent / "link").symlink_to(shards)
    assert len(Shards(str(shards.parent / "link")).dataset("val")) == 200


def test_files_that_are_not_what_the_index_says(shards):
    path = shards / "train-x-00000.npy"
    whole = path.read_bytes()
    rows = np.load(path)
    path.unlink()
    assert "train-x-00000.npy cannot be read (No such file or directory)" in refused(shards)
    path.mkdir()
    assert "is no plain file" in refused(shards)
    path.rmdir()
    for content, says in (
        (b"", "is no .npy file"),
        (whole[:60], "is no .npy file"),
        (b"PK" + whole[2:], "is no .npy file"),
        (whole[:-1], "has 32127 bytes in place of 32128"),
        (whole + b"\0", "has 32129 bytes in place of 32128"),
    ):
        path.write_bytes(content)
        assert says in refused(shards)
    for array, says in (
        (rows[:-1], "holds '|u1' (499, 1, 8, 8), and the index says '|u1' (500, 1, 8, 8)"),
        (rows.astype(np.float32), "holds '<f4' (500, 1, 8, 8)"),
        (rows.reshape(500, 64), "holds '|u1' (500, 64)"),
        (np.asfortranarray(rows.repeat(2, 1)), "by columns"),
        (np.array([{}] * 500, dtype=object), "holds '|O' (500,)"),
    ):
        resave(path, array)
        assert says in refused(shards)


def test_safetensors_that_are_not_what_the_index_says(tmp_path):
    folder = Path(written(digits(), tmp_path / "shards", 500, form="safetensors"))
    path = folder / "train-x-00000.safetensors"
    whole, rows = path.read_bytes(), load_file(path)["x"]
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    path.unlink()
    assert "cannot be read (No such file or directory)" in refused(folder)
    for content, says in (
        (b"", "is no .safetensors file"),
        (whole[:60], "is no .safetensors file"),
        (whole[:-1], "is no .safetensors file"),
        (whole + b"\0", "is no .safetensors file"),
        (whole[1:], "header has"),
        ((2**62).to_bytes(8, "little") + whole[8:], "header has 4,6"),
        (whole[:8] + b"[" * len(header), "is no .safetensors file"),
        (whole.replace(b'"U8"', b'"I8"'), "its numbers are I8, expected U8"),
        (whole.replace(b'"U8"', b'"XX"'), "is no .safetensors file"),
        (whole.replace(b"500", b"-50"), "is no .safetensors file"),
    ):
        path.write_bytes(content)
        assert says in refused(folder)
    for tensors, says in (
        ({"x": rows[:-1]}, "holds '|u1' (499, 1, 8, 8), and the index says '|u1' (500, 1, 8, 8)"),
        ({"x": rows.astype(np.float32)}, "holds '<f4' (500, 1, 8, 8)"),
        ({"x": rows, "y": rows}, "it holds 2 tensors, expected 1"),
        ({}, "it holds 0 tensors, expected 1"),
    ):
        save_file(tensors, path)
        assert says in refused(folder)
    save_file({"another": rows}, path, {"with": "metadata"})
    assert torch.equal(
        opened(folder).dataset("train")[torch.arange(1300)].x,
        digits().dataset("train")[torch.arange(1300)].x,
    )


def test_a_file_of_objects_is_never_unpickled(shards, tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    resave(shards / "val-x-00000.npy", np.array([Payload()], dtype=object))
    assert "holds '|O' (1,)" in refused(shards)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{[]: 1}",
        "(" * 60_000,
        "__import__('os').abort()",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (500, 1, 8, 8), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (500L, 1, 8, 8), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5 0, 1), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 9000 + "), }",
    ],
)
def test_headers_that_a_stranger_may_write(shards, text):
    start = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little")
    (shards / "train-x-00000.npy").write_bytes(start + text.encode())
    assert "is no .npy file" in refused(shards)


def test_a_file_that_shrinks_before_it_is_opened(shards):
    train = Shards(str(shards)).dataset("train")
    path = shards / "train-x-00002.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be read any more"):
        train[torch.tensor([1299])]


def test_checksums_are_compared_by_data_check(shards):
    assert shards_status(shards).ready
    path = shards / "train-x-00001.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (shards / "val-label-00000.npy").unlink()
    Shards(str(shards)).dataset("train")  # which only looks at sizes
    status = shards_status(shards)
    states = {file.name: file.state for file in status.files if file.state != "verified"}
    assert states == {"train-x-00001.npy": "altered", "val-label-00000.npy": "missing"}
    assert not status.ready


def test_the_index_says_who_wrote_it(tmp_path):
    write_shards(digits(), tmp_path / "d", made={"words": ["data=digits"]})
    content = json.loads((tmp_path / "d" / "index.json").read_text())
    assert content["made"] == {"words": ["data=digits"]}
