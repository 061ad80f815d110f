"""Writing shards: what cannot be written down is refused, and a folder of the right name is whole."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genlab.contracts import DataError, DataSpec, GenlabError, Support, UsageError
from genlab.data import Bernoulli, Shards, Threshold, digits, sharding, shards_status, write_shards
from genlab.data.column_writer import ColumnWriter
from tests.data.sharded import InMemory

BITS = DataSpec("bits", "made up", (4,), Support.BINARY)


def refused(data, folder: Path, error=UsageError, rows: int | None = None) -> str:
    """The one line that it gives; nothing is left."""
    parent = folder.parent if folder.parent.is_dir() else folder.parent.parent
    before = sorted(parent.iterdir())
    with pytest.raises(error) as caught:
        write_shards(data, folder, rows)
    assert sorted(parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_data_that_redraw_themselves(tmp_path):
    line = refused(digits(preprocess=Bernoulli()), tmp_path / "d")
    assert line.startswith("digits (dynamic) is drawn anew in each epoch")
    assert "data.preprocess._target_=genlab.data.Threshold data.preprocess.at=" in line
    write_shards(digits(preprocess=Threshold(8)), tmp_path / "d")


def test_a_folder_that_holds_something(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file", "."):
        assert "is there already" in refused(digits(), tmp_path / name)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    write_shards(digits(), tmp_path / "empty")
    assert Shards(str(tmp_path / "empty")).spec == digits().spec


def test_rows_of_a_file(tmp_path):
    assert "--rows 0: a file holds at least 1" in refused(digits(), tmp_path / "d", rows=0)


def test_the_kind_of_a_file(tmp_path):
    with pytest.raises(UsageError, match=r"--format csv: files are npy or safetensors"):
        write_shards(digits(), tmp_path / "d", form="csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.full((5, 4), 0.5), "train rows 0 … 4 of bits do not all lie in binary, (4,)"),
        (torch.zeros(5, 3), "train rows 0 … 4 of bits do not all lie in binary, (4,)"),
        (torch.full((5, 4), torch.nan), "do not all lie in binary"),
        (torch.zeros(0, 4), "bits has no train data"),
    ],
)
def test_data_that_are_not_what_they_say(tmp_path, x, says):
    assert says in refused(InMemory(BITS, x), tmp_path / "d")


def test_numbers_that_would_come_back_changed(tmp_path):
    spec = DataSpec("greys", "256 levels", (256,), Support.LEVELS, 256)
    x = torch.arange(256.0)[None]
    write_shards(InMemory(spec, x / 255), tmp_path / "divided")
    assert "must be float32 k / 255" in refused(InMemory(spec, x * (1 / 255)), tmp_path / "d")


def test_labels_that_are_none(tmp_path):
    spec = DataSpec("bits", "made up", (4,), Support.BINARY, classes=3)
    for label in (None, *map(torch.tensor, ([0, 1, 3], [0, -1, 2], [[0], [1], [2]]))):
        line = refused(InMemory(spec, torch.zeros(3, 4), label), tmp_path / "d")
        assert "has 3 classes, and train labels that are none of them" in line


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    line = refused(digits(), tmp_path / "d", GenlabError)
    path = tmp_path / "d.partial" / "val-label-00000.npy"
    assert line == f"{path} cannot be written (No space left on device): nothing is kept"


class Gone:
    """Rows that lie on a disk that has been taken away."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, rows):
        raise OSError(5, "Input/output error", "source.bin")


def test_what_the_source_cannot_read_is_its_own_error(tmp_path, monkeypatch):
    data = InMemory(BITS, torch.zeros(3, 4))
    monkeypatch.setattr(data, "dataset", lambda split: Gone())
    with pytest.raises(OSError, match=r"source\.bin"):
        write_shards(data, tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_a_device_without_space(tmp_path, monkeypatch):
    """The same where the system itself refuses."""
    real = Path.open

    def full(self, *args):
        return real(Path("/dev/full") if self.name == "test-x-00000.npy" else self, *args)

    monkeypatch.setattr(Path, "open", full)
    assert "(No space left on device)" in refused(digits(), tmp_path / "d", GenlabError)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(digits(), tmp_path / "file" / "d", UsageError)
    assert line == f"{tmp_path / 'file'} is no folder: name another"


KILLED = """
import os, signal, sys
from pathlib import Path
from genlab.data import digits, write_shards
from genlab.data.column_writer import ColumnWriter
real = ColumnWriter.append
def append(self, x):
    if self.name == "test-label":
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, x)
ColumnWriter.append = append
write_shards(digits(), Path(sys.argv[1]), 100)
"""


@pytest.mark.slow
def test_a_kill_leaves_no_folder_that_looks_whole(tmp_path):
    folder = tmp_path / "d"
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    partial = tmp_path / "d.partial"
    assert [path.name for path in tmp_path.iterdir()] == ["d.partial"]
    with pytest.raises(DataError, match=r"holds no index\.json"):
        Shards(str(partial))
    left = {path.name for path in partial.iterdir()}
    assert "train-x-00012.npy" in left
    write_shards(digits(), folder, 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert shards_status(folder).ready
    assert "train-x-00012.npy" not in {path.name for path in folder.iterdir()}


def test_only_what_a_killed_command_left_is_removed(tmp_path):
    partial = tmp_path / "d.partial"
    partial.mkdir()
    (partial / "train-x-00000.npy").write_text("left")
    (partial / "thesis.txt").write_text("mine")
    assert "thesis.txt is no shard: move it" in refused(digits(), tmp_path / "d")
    assert {path.name for path in partial.iterdir()} == {"train-x-00000.npy", "thesis.txt"}


def test_two_commands_do_not_write_one_folder(tmp_path):
    (tmp_path / "d.partial").mkdir()
    other = os.open(tmp_path / "d.partial", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        assert "is being written by another process" in refused(digits(), tmp_path / "d")
    finally:
        os.close(other)
    write_shards(digits(), tmp_path / "d")


def test_blocks_of_rows_decide_nothing(tmp_path, monkeypatch):
    """Memory is bounded by a block, whatever the rows of a file."""
    sizes = []
    real = ColumnWriter.append

    def append(self, x):
        sizes.append(len(x))
        real(self, x)

    monkeypatch.setattr(ColumnWriter, "append", append)
    one = write_shards(digits(), tmp_path / "one", 300)
    assert max(sizes) == 1300
    sizes.clear()
    monkeypatch.setattr(sharding, "NUMBERS", 64 * 70)
    assert write_shards(digits(), tmp_path / "two", 300) == one
    assert max(sizes) == 70
