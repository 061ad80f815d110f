"""Valid files of every kind, made once, of which each case gets its own copy to spoil."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from genlab.cli.main import main
from tests.training.running import interrupted

SMALL = ["stages.fit.max_epochs=1", "model.hidden=[8]", "evaluate=[test]"]
ENDS = ("encode", "decode")  # stages in which a run is interrupted
PLUGIN = {
    "fuzzed-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: fuzzed\nVersion: 1.0\nRequires-Dist: genlab>=0.1\n"
    ),
    "fuzzed-1.0.dist-info/entry_points.txt": "[genlab.plugins]\nfuzzed = genlab_fuzzed\n",
    "genlab_fuzzed/__init__.py": (
        "from genlab.models.independent import Independent\n\n\n"
        "def simple(spec) -> Independent:\n    return Independent(spec)\n"
    ),
    "genlab_fuzzed/configs/model/fuzzed.yaml": "# A model\n_target_: genlab_fuzzed.simple\n",
    "genlab_fuzzed/configs/experiment/fuzzed.yaml": (
        "# @package _global_\n# An experiment\ndefaults:\n  - override /model: fuzzed\nseed: 3\n"
    ),
}


class Place:
    """run, export, tree, plugin: folders; npz, npy, idx, png: bytes; x: what they hold. shards: two
    folders, one of each kind of file. interrupted: runs to go on with, by the words of SHORT.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        made = root / "made"
        assert main(["train", *SMALL, f"folder={made}"]) == 0
        self.run = root / "run"
        next(made.iterdir()).rename(self.run)
        self.export = root / "export"
        assert main(["export", str(self.run), "-o", str(self.export)]) == 0
        self.shards = [root / "npy", root / "safetensors"]
        for folder in self.shards:
            words = ["data=digits_binary", "--rows", "700", "--format", folder.name]
            assert main(["data", "shard", *words, "-o", str(folder)]) == 0
        x = np.arange(40 * 16, dtype=np.uint8).reshape(40, 4, 4)
        self.npz = _saved(np.savez, train=x, val=x[:5], test=x[:5], labels=np.arange(40) % 3)
        self.packed = _saved(np.savez_compressed, x=x)
        self.evidence = _saved(np.savez_compressed, x=np.zeros((1, 1, 8, 8), np.float32))
        header = struct.pack(">BBBBIII", 0, 0, 8, 3, 10, 4, 4)
        self.idx = gzip.compress(header + bytes(160), mtime=0)
        self.idx_header = header + bytes(160)
        self.png = _picture("PNG")
        self.gif = _picture("GIF")
        self.interrupted = [interrupted(root / name, f"step 2 of {name}") for name in ENDS]
        self.tree = root / "tree"
        _write(
            self.tree,
            {
                "model/mine.yaml": "# Mine\n_target_: genlab.models.made.MADE\nhidden: [8]\nmasks: 2\n"
            },
        )
        self.plugin = root / "plugin"
        _write(self.plugin, PLUGIN)

    @contextmanager
    def copy(self, of: Path) -> Iterator[Path]:
        """A copy of a folder, for one case."""
        with self.empty() as folder:
            yield Path(shutil.copytree(of, folder / "copy", symlinks=True))

    @contextmanager
    def empty(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix="case-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def files(folder: Path) -> list[str]:
    """The names of all files of a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def sign(folder: Path) -> None:
    """Write an export's checksums anew, as whoever means harm would."""
    from genlab.sums import LIST, file_digest, files_of

    lines = [f"{file_digest(folder / name)}  {name}\n" for name in files_of(folder)]
    (folder / LIST).unlink(missing_ok=True)  # it may be a pipe by now
    (folder / LIST).write_text("".join(lines))


def read(path: Path) -> object:
    return json.loads(path.read_text())


def _saved(save, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def _picture(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(buffer, form)
    return buffer.getvalue()


def _write(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
