import gzip
from pathlib import Path

import numpy as np
import pytest

from genlab.contracts import DataError
from genlab.data.readers import read_bits, read_idx, read_npz, read_packed


def idx(images: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, images.ndim]) + np.array(images.shape, ">u4").tobytes()
    return header + images.tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
BITS = np.random.default_rng(0).integers(0, 2, (5, 11), dtype=np.uint8)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


def test_idx_is_read_back(tmp_path):
    assert (read_idx(write(tmp_path, gzip.compress(idx(IMAGES)))) == IMAGES).all()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(idx(IMAGES))[:-9], id="gzip cut off"),
        pytest.param(gzip.compress(idx(IMAGES)[:-1]), id="one pixel missing"),
        pytest.param(gzip.compress(idx(IMAGES) + b"\0"), id="one pixel too many"),
        pytest.param(gzip.compress(idx(IMAGES)[:6]), id="half a header"),
        pytest.param(gzip.compress(b"\0\0\x0d\x03" + idx(IMAGES)[4:]), id="floats"),
        pytest.param(gzip.compress(b""), id="nothing inside"),
        pytest.param(idx(IMAGES), id="not compressed"),
        pytest.param(b"<html>404</html>", id="a web page"),
        pytest.param(b"", id="empty"),
    ],
)
def test_broken_idx_is_a_data_error(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=r"no complete .*idx file.*fetch it again") as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_altered_byte_in_idx_is_a_data_error(tmp_path):
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-12] ^= 1
    with pytest.raises(DataError):
        read_idx(write(tmp_path, bytes(content)))


def test_packed_rows_are_read_back(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, train=np.packbits(BITS, axis=1), n_vars=BITS.shape[1])
    assert (read_packed(path, "train") == BITS).all()
    with pytest.raises(DataError, match="no packed"):
        read_packed(path, "valid")


def test_npz_without_n_vars_is_not_packed(tmp_path):
    np.savez(tmp_path / "set.npz", train=BITS)
    with pytest.raises(DataError, match="n_vars"):
        read_packed(tmp_path / "set.npz", "train")


def test_python_objects_are_refused(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, fine=BITS, bad=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="holds Python objects"):
        read_npz(path)


def test_broken_npz_is_a_data_error(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, train=BITS)
    broken = whole.read_bytes().replace(b"NUMPY", b"NAMPY").replace(b"train", b"trail", 1)
    for content in (whole.read_bytes()[:-30], broken, b"", b"no zip at all", b"\x80\x04pickle"):
        with pytest.raises(DataError, match=r"no complete \.npz file"):
            read_npz(write(tmp_path, content))


def test_a_bare_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", BITS)
    with pytest.raises(DataError, match=r"np.savez"):
        read_npz(tmp_path / "x.npy")


def test_text_rows_are_read_back(tmp_path):
    text = "\n".join(",".join(map(str, row)) for row in BITS) + "\n"
    assert (read_bits(write(tmp_path, text.encode()), 11) == BITS).all()


@pytest.mark.parametrize("text", ["", "0,1,2\n", "0,1\n0,1\n", "0,1,x\n"])
def test_other_text_is_a_data_error(tmp_path, text):
    with pytest.raises(DataError, match="rows of 3 zeros and ones"):
        read_bits(write(tmp_path, text.encode()), 3)
