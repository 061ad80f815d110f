import hashlib
from pathlib import Path

import pytest

from genlab.contracts import DataError
from genlab.data import files
from genlab.data.checksums import SHA256

NAME = "debd/nltcs.npz"


def put(folder: Path, content: bytes, name: str = NAME) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_genlab_data_comes_first_then_data_here_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert files.folders()[:2] == [tmp_path / "given", Path("data")]
    assert files.folders()[-1] == tmp_path / "cache" / "genlab" / "data"
    for place in ("cache/genlab/data", "data", "given"):
        path = put(tmp_path / place, b"x", "debd/surely-no-set.npz")
        found = files.find("debd/surely-no-set.npz")
        assert found is not None
        assert found.resolve() == path


def test_a_missing_file_is_named_with_its_source_and_its_place(folder):
    with pytest.raises(
        DataError, match=r"^debd/nltcs.npz is missing .*DEBD.*GENLAB_DATA"
    ) as caught:
        files.verified(NAME)
    assert "\n" not in str(caught.value)


def test_one_altered_byte_is_found(folder, monkeypatch):
    content = bytes(range(256))
    monkeypatch.setitem(SHA256, NAME, hashlib.sha256(content).hexdigest())
    path = put(folder, content)
    assert files.verified(NAME) == path
    put(folder, content[:100] + b"\0" + content[101:] + b"\0")
    with pytest.raises(DataError, match="is not the published file"):
        files.verified(NAME)


def test_a_file_is_hashed_once(folder, monkeypatch):
    path = put(folder, b"some content")
    monkeypatch.setitem(SHA256, NAME, hashlib.sha256(b"some content").hexdigest())
    files.verified(NAME)
    before = files._sha256.cache_info().misses
    files.verified(NAME)
    assert files._sha256.cache_info().misses == before
    assert files.sha256(path) == SHA256[NAME]


def test_a_file_without_a_known_checksum_is_taken_as_it_is(folder):
    path = put(folder, b"anything", "debd/kdd.npz")
    assert files.verified("debd/kdd.npz") == path


def test_every_checksum_has_a_source():
    assert all(len(digest) == 64 and files.origin_of(name) for name, digest in SHA256.items())
