"""Fetching from a server of the test's own: what is kept, what is refused, and in how many words."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading

import numpy as np
import pytest

from genlab.cli.main import main
from genlab.contracts import GenlabError, UsageError
from genlab.data import built_in_sets, checksums, debd, fetch, files, images
from genlab.data.fetch import downloads
from genlab.data.tables import DEBD, Size


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def log_message(self, *args: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that a mirror serves; the only place where data are looked for is tmp_path / "kept"."""
    folder, kept = tmp_path / "mirror", tmp_path / "kept"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    Quiet.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("GENLAB_MIRROR", f"http://127.0.0.1:{httpd.server_port}/")
        monkeypatch.setenv("GENLAB_DATA", str(kept))
        monkeypatch.setattr(files, "folders", lambda: [kept])
        yield folder
        httpd.shutdown()
        thread.join()


def put(folder, name: str, content: bytes, monkeypatch=None) -> None:
    """monkeypatch: make this the published content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if monkeypatch is not None:
        monkeypatch.setitem(checksums.SHA256, name, hashlib.sha256(content).hexdigest())


def left(tmp_path) -> list:
    return list((tmp_path / "kept").rglob("*"))


# ----------------------------------------------------------------------------------- what is fetched


def idx(x: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, x.ndim]) + np.array(x.shape, ">u4").tobytes()
    return gzip.compress(head + x.tobytes())


def test_mnist_is_fetched_and_read(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        images, "MNIST_ROWS", {"train": slice(0, 4), "val": slice(4, 6), "test": slice(0, 2)}
    )
    source = images.IdxImages("mnist")
    for name, x in zip(
        source.files(),
        (np.ones((6, 28, 28)), np.arange(6), np.zeros((2, 28, 28)), np.arange(2)),
        strict=True,
    ):
        put(server, name, idx(x.astype(np.uint8)), monkeypatch)
    paths = fetch("mnist_dynamic")
    assert paths == [tmp_path / "kept" / name for name in source.files()]
    assert source.arrays("val").label.tolist() == [4, 5]


def test_what_is_there_is_not_fetched_again(server, tmp_path, monkeypatch):
    for name in images.IdxImages("fashion_mnist").files():
        put(server, name, idx(np.zeros((1, 1), np.uint8)), monkeypatch)
    fetch("fashion_mnist")
    assert len(Quiet.asked) == 4
    fetch("fashion_mnist")
    assert len(Quiet.asked) == 4
    (tmp_path / "kept/fashion_mnist/t10k-labels-idx1-ubyte.gz").write_bytes(b"altered")
    fetch("fashion_mnist")
    assert len(Quiet.asked) == 5


@pytest.fixture
def tiny(monkeypatch) -> dict[str, str]:
    """A DEBD set of 3 variables and 4, 2, 1 rows, as text by split."""
    monkeypatch.setitem(DEBD, "ad", Size(3, 4, 2, 1))
    return {"train": "0,1,0\n" * 4, "valid": "1,1,0\n" * 2, "test": "1,0,1\n"}


def test_a_table_is_fetched_as_text(server, tiny):
    for part, text in tiny.items():
        put(server, f"debd/ad/ad.{part}.data", text.encode())
    assert len(fetch("debd/ad")) == 3
    assert debd("ad").dataset("val").values.tolist() == [[1, 1, 0]] * 2


def test_a_table_with_other_rows_is_not_kept(server, tmp_path, tiny):
    put(server, "debd/ad/ad.train.data", b"0,1,0\n")
    with pytest.raises(GenlabError, match=r"is not the published file: .*\(1, 3\) train rows"):
        fetch("debd/ad")
    assert left(tmp_path) == []


def test_binarised_mnist_is_read_from_its_text(server, monkeypatch):
    rows = np.random.default_rng(0).integers(0, 2, (6, 784))
    for k, name in enumerate(images.BinarizedMnist.TEXT.values()):
        text = "\n".join(" ".join(map(str, row)) for row in rows[2 * k : 2 * k + 2]) + "\n"
        put(server, name, text.encode(), monkeypatch)
    fetch("mnist_binary")
    x = images.BinarizedMnist().arrays("test").x
    assert (x.reshape(2, 784) == rows[4:]).all()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


BATCHES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]


def publish(server, monkeypatch, members: dict[str, bytes]) -> None:
    content = archive(**members)
    put(server, "cifar-10-binary.tar.gz", content, monkeypatch)


def test_only_the_expected_members_of_an_archive_are_kept(server, tmp_path, monkeypatch):
    members = {f"cifar-10-batches-bin/{name}": name.encode() for name in BATCHES}
    members |= {
        "../outside": b"no",
        "cifar-10-batches-bin/readme.html": b"no",
        "/tmp/absolute": b"no",
    }
    publish(server, monkeypatch, members)
    paths = fetch("cifar10")
    assert [path.read_text() for path in paths] == BATCHES
    assert sorted(p.name for p in left(tmp_path) if p.is_file()) == sorted(BATCHES)
    assert not (tmp_path / "outside").exists()


def test_an_archive_without_its_members_is_refused(server, monkeypatch):
    publish(server, monkeypatch, {"something": b"else"})
    with pytest.raises(GenlabError, match="no archive of CIFAR-10"):
        fetch("cifar10")


def test_another_archive_is_known_by_its_md5(server, tmp_path):
    put(server, "cifar-10-binary.tar.gz", archive(something=b"else"))
    with pytest.raises(GenlabError, match=r"its md5 is .*expected c32a1d4ab5d0"):
        fetch("cifar10")
    assert left(tmp_path) == []


# ------------------------------------------------------------------------------------- what is refused


def refused(capsys, *words: str) -> tuple[int, str]:
    code = main(["data", "fetch", *words])
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return code, lines[0]


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path, capsys):
    put(server, "mnist/train-images-idx3-ubyte.gz", b"something else")
    code, line = refused(capsys, "mnist")
    assert code == 1
    assert "is not the published file: its sha256" in line
    assert "nothing was kept" in line
    assert left(tmp_path) == []


def test_what_the_server_does_not_have(server, tmp_path, capsys):
    code, line = refused(capsys, "caltech_silhouettes")
    assert code == 1
    assert "cannot be fetched: HTTP Error 404" in line
    assert left(tmp_path) == []


def test_a_server_that_is_not_there(server, monkeypatch, capsys):
    monkeypatch.setenv("GENLAB_MIRROR", "http://127.0.0.1:9")
    code, line = refused(capsys, "mnist")
    assert code == 1
    assert "http://127.0.0.1:9/mnist/train-images-idx3-ubyte.gz cannot be fetched" in line


def test_an_answer_that_ends_too_early(server, tmp_path, monkeypatch, capsys):
    def cut(self: Quiet) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 40)

    monkeypatch.setattr(Quiet, "do_GET", cut)
    code, line = refused(capsys, "mnist")
    assert code == 1
    assert "it ended after 40 of 100 bytes" in line
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mnst"], "did you mean 'mnist'?"),
        (["omniglot_dynamic"], "put omniglot/omniglot_28.npz under $GENLAB_DATA"),
        (["cifar10_subset"], "data=cifar10 has all of them"),
        (["nade_uci/adult"], "cannot fetch nade_uci/adult"),
        ([], "needs the name of a data set"),
    ],
)
def test_what_cannot_be_fetched_is_a_usage_error(server, capsys, words, says):
    code, line = refused(capsys, *words)
    assert code == 2
    assert says in line
    assert Quiet.asked == []


@pytest.mark.parametrize("name", built_in_sets())
def test_every_set_is_fetched_or_says_where_it_is_from(name):
    if name.startswith(("nade_uci/", "omniglot", "cifar10_subset")):
        with pytest.raises(UsageError, match=r"\(source: "):
            downloads(name)
    else:
        assert all(d.url.startswith("http") for d in downloads(name))


def test_the_verb_puts_files_where_it_is_told(server, tmp_path, monkeypatch, capsys):
    put(server, "caltech101_silhouettes/caltech101_silhouettes_28_split1.mat", b"mat", monkeypatch)
    assert (
        main(["data", "fetch", "caltech_silhouettes", "--to", str(tmp_path / "here"), "--json"])
        == 0
    )
    (path,) = json.loads(capsys.readouterr().out)
    assert path == str(
        tmp_path / "here/caltech101_silhouettes/caltech101_silhouettes_28_split1.mat"
    )
    assert main(["data", "fetch", "digits"]) == 0
    assert main(["data", "list", "--to", "x"]) == 2


def test_listing_is_json_too(server, tmp_path, capsys):
    put(tmp_path / "kept", "debd/kdd.npz", b"x")
    assert main(["data", "list", "debd/kdd", "--json"]) == 0
    (status,) = json.loads(capsys.readouterr().out)
    assert status["files"][0]["path"] == str(tmp_path / "kept/debd/kdd.npz")
