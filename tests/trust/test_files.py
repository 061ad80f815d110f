"""What each reader refuses: code, bombs, other kinds of files, and paths that lead elsewhere."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, PngImagePlugin

from genlab.trust import Refused, admit, read_json, read_yaml, require_plain, require_within
from genlab.trust.arrays import read_npz
from genlab.trust.packed import inflated, members, unpacking
from genlab.trust.pictures import read_picture
from genlab.trust.tensors import NAMES, Pickled, read_checkpoint, read_tensors


class Payload:
    """Runs code as it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


# ------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "nul"])
def test_only_plain_files_are_read(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "nul":
        path = tmp_path / "a\0b"
    with pytest.raises(Refused):
        admit(path)


def test_links_stay_inside(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("a")
    (tmp_path / "run" / "b").symlink_to("a")
    require_plain(tmp_path / "run")
    assert admit(tmp_path / "run" / "b", tmp_path / "run")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "run" / "c").symlink_to("../secret")
    with pytest.raises(Refused, match="leads out of"):
        admit(tmp_path / "run" / "c", tmp_path / "run")
    with pytest.raises(Refused, match="leads out of"):
        require_plain(tmp_path / "run")
    for name in ("..", "../secret", "/etc/passwd", "a\0b"):
        with pytest.raises(Refused):
            require_within(tmp_path / "run" / name, tmp_path / "run")


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(Refused):
        admit(tmp_path / "a", tmp_path)


# -------------------------------------------------------------------------------------------------- text

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "x: !!python/object/apply:os.system ['touch {canary}']",
            "could not determine a constructor",
        ),
        ("!!python/object/new:subprocess.Popen [['touch', '{canary}']]", "could not determine"),
        (LAUGHS, "too many values"),
        ("a: &a [*a]", "refers to itself"),
        ("[" * 300 + "]" * 300, "nested too deeply"),
        ("a: 2001-99-99", "month"),
        ("a: !!binary aGVsbG8=", "neither number nor text"),
        ("x" * 300_000, "at most"),
    ],
)
def test_yaml_is_plain_values(tmp_path, text, says):
    path, canary = tmp_path / "x.yaml", tmp_path / "ran"
    path.write_text(text.replace("{canary}", str(canary)))
    with pytest.raises(Refused, match=says):
        read_yaml(path)
    assert not canary.exists()


def test_aliases_that_stand_for_little_are_read(tmp_path):
    (tmp_path / "x").write_text(yaml.safe_dump({"a": (shared := [1, 2]), "b": shared}))
    assert read_yaml(tmp_path / "x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "1e", "[" * 100_000, '{"a": Infinity}', "\ufeff{}"]
)
def test_what_is_no_json(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(Refused, match="is not JSON"):
        read_json(tmp_path / "x")


def test_commands_for_a_terminal_are_taken_out(tmp_path):
    (tmp_path / "x").write_text(json.dumps({"a\x1b": "\x1b[2Jb\x9bc\n\t"}))
    assert read_json(tmp_path / "x") == {"a�": "�[2Jb�c\n\t"}


# ----------------------------------------------------------------------------------------------- weights


def test_what_a_checkpoint_of_genlab_holds_is_read(tmp_path):
    whole = {
        "state_dict": {"w": torch.zeros(2, 3), "b": torch.ones(1, dtype=torch.bfloat16)},
        "plain": [1, 2.0, None, "a", True, {3: (4,)}],
        "dtype": torch.float64,
        "parameter": torch.nn.Parameter(torch.zeros(1)),
        "size": torch.Size([2]),
    }
    torch.save(whole, tmp_path / "x")
    assert read_checkpoint(tmp_path / "x")["plain"] == whole["plain"]


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_pickles_are_never_loaded(tmp_path, form):
    path, canary = tmp_path / "x.ckpt", tmp_path / "ran"
    if form == "bare":
        path.write_bytes(pickle.dumps(Payload(canary)))
    else:
        torch.save({"a": Payload(canary)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(Pickled if form == "zip" else Refused) as caught:
        read_checkpoint(path)
    assert not canary.exists()
    assert "system" in str(caught.value) or form != "zip"


@pytest.mark.parametrize("value", [bytearray(3), {1, 2}, complex(1, 2), np.float64(3.0)])
def test_a_checkpoint_names_only_what_tensors_need(tmp_path, value):
    """torch would load some of these: ``bytearray(10**12)`` is on its list."""
    torch.save({"a": value}, tmp_path / "x")
    with pytest.raises(Pickled):
        read_checkpoint(tmp_path / "x")


def test_every_allowed_name_is_about_tensors():
    others = {name for name in NAMES if not name.startswith("torch ")}
    assert others == {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
    }


def test_a_packed_checkpoint_is_refused(tmp_path):
    """A few kilobytes of zeros would become gigabytes."""
    torch.save({"w": torch.zeros(10**6)}, tmp_path / "x")
    with zipfile.ZipFile(tmp_path / "x") as old:
        whole = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "y", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in whole.items():
            new.writestr(name, content)
    assert (tmp_path / "y").stat().st_size < 50_000
    with pytest.raises(Refused, match="packed"):
        read_checkpoint(tmp_path / "y")


def test_tensors_that_claim_more_than_there_is(tmp_path):
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(Refused, match="safetensors"):
        read_tensors(tmp_path / "x")


# ------------------------------------------------------------------------------------------------ arrays


def test_python_objects_in_arrays(tmp_path):
    canary = tmp_path / "ran"
    held = np.array([Payload(canary), 1], dtype=object)
    np.savez(tmp_path / "x.npz", x=held)
    with pytest.raises(Refused, match="Python objects"):
        read_npz(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(pickle.dumps(Payload(canary)))
    with pytest.raises(Refused):
        read_npz(tmp_path / "y.npz")
    assert not canary.exists()


@pytest.mark.parametrize(
    "shape", ["(1099511627776,)", "(4, 1099511627776)", "(5,)", "(-4,)", "(" + "9" * 400 + ",)"]
)
def test_headers_that_claim_more_than_there_is(tmp_path, shape):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(4, np.uint8))
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(4)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", npy)
    with pytest.raises(Refused):
        read_npz(tmp_path / "x.npz")


def test_an_archive_that_is_larger_than_memory(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(10**7, np.uint8))
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    monkeypatch.setattr("genlab.trust.files.SHARE", 1e-6)
    with pytest.raises(Refused, match="GiB"):
        read_npz(tmp_path / "x.npz")


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones(3), y=np.array([None]))
    assert list(read_npz(tmp_path / "x.npz", ["x"])) == ["x"]


# ---------------------------------------------------------------------------------------------- pictures


def test_a_picture_starts_no_program(tmp_path, monkeypatch):
    """Pillow would hand PostScript in the guise of a PNG to Ghostscript."""
    ran = tmp_path / "ran"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    file = tmp_path / "x.png"
    file.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(Refused, match="no picture"):
        read_picture(file)
    assert not ran.exists()
    with Image.open(file) as image, pytest.raises(Exception):  # noqa: B017, PT011  (whatever Ghostscript lacks)
        image.load()
    assert ran.exists(), "the trap is one"


def test_pictures_that_are_too_large_are_not_decoded(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(Refused, match="decompression bomb"):
        read_picture(tmp_path / "x.png")


def test_a_picture_with_a_bomb_of_text(tmp_path):
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "a" * (2 * PngImagePlugin.MAX_TEXT_CHUNK), zip=True)
    Image.new("L", (8, 8)).save(tmp_path / "x.png", pnginfo=words)
    with pytest.raises(Refused, match=r"[Dd]ecompressed"):
        read_picture(tmp_path / "x.png")


# ------------------------------------------------------------------------------------------------ packed


def test_only_as_much_is_unpacked_as_is_asked_for(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(10**8), 1))
    with unpacking(tmp_path / "x.gz", "gzipped file") as file:
        assert len(file.read(10)) == 10


def test_what_grows_beyond_memory(tmp_path, monkeypatch):
    packed = zlib.compress(bytes(10**8))
    monkeypatch.setattr("genlab.trust.files.SHARE", 1e-5)
    with pytest.raises(Refused, match="GiB"):
        inflated(packed, tmp_path)


def test_members_of_an_archive_are_asked_for_by_name():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (
            ("../../x", tarfile.REGTYPE),
            ("good", tarfile.REGTYPE),
            ("link", tarfile.SYMTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry, io.BytesIO())
    buffer.seek(0)
    assert [name for name, _ in members(buffer, ["good"])] == ["good"]
    for name in ("link", "missing"):
        buffer.seek(0)
        with pytest.raises(Refused):
            list(members(buffer, [name]))
