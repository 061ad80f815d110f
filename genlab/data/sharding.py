"""Writing a folder of shards: every split of a data module as it delivers it, a block of rows at a time.

Files go to FOLDER.partial, the index last of all, and the whole is then renamed: a folder of the right name
is complete. What a killed command leaves is taken up by the next one of the same FOLDER, from the start.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.contracts import BatchSource, DataModule, DataSpec, UsageError
from genlab.contracts.loading import stretches
from genlab.data.column_writer import ColumnWriter, writing
from genlab.data.shard_files import FORMATS
from genlab.data.shard_index import FILE, Columns, Index, label_type, number_types
from genlab.data.source import SPLITS
from genlab.progress import progress
from genlab.runs import require_writable, write_json

NUMBERS = 2**22  # that are in memory at once
LOOKED_AT = 1000  # training data, to see whether they change with the epoch
OURS = re.compile(
    rf"({'|'.join(SPLITS)})-(x|label)-\d{{5,}}\.({'|'.join(FORMATS)})|\.?{re.escape(FILE)}.*"
)


def write_shards(
    data: DataModule,
    folder: Path,
    rows: int | None = None,
    made: Mapping[str, Any] | None = None,
    form: str = "npy",
) -> Index:
    """Write all three splits; ``data`` has been set up. rows: in a file, by default 512 MB of them.

    made: what the index says of who wrote it. form: of the files, npy or safetensors. Raises UsageError
    where the data cannot be sharded or ``folder`` holds something, GenlabError where it cannot be written,
    as on a full disk.
    """
    if rows is not None and rows < 1:
        raise UsageError(f"--rows {rows}: a file holds at least 1")
    if form not in FORMATS:
        raise UsageError(f"--format {form}: files are {' or '.join(FORMATS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already: name a folder that is new or empty")
    sources = {split: data.dataset(split) for split in SPLITS}
    _refuse_redrawn(data.spec, sources["train"])
    with _partial(folder.resolve()) as partial:
        writers = {split: _Writer(partial, split, data.spec, rows, form) for split in SPLITS}
        splits = {split: writers[split].write(sources[split]) for split in SPLITS}
        index = Index(data.spec, splits)
        write_json(partial / FILE, index.as_json(made or {}))
        with writing(folder):
            partial.rename(folder)
    return index


def _refuse_redrawn(spec: DataSpec, train: BatchSource) -> None:
    """Data that are drawn anew in each epoch have no rows that could be written down."""
    redraw = getattr(train, "set_epoch", None)
    if redraw is None:
        return
    n = min(LOOKED_AT, len(train))
    rows = torch.arange(n) * len(train) // max(1, n)
    before = train[rows].x
    redraw(1)
    same = torch.equal(before, train[rows].x)
    redraw(0)
    if not same:
        raise UsageError(
            f"{spec.name} ({spec.variant}) is drawn anew in each epoch, and shards never change: shard "
            "what stays the same, data=… without such a preprocess, or with "
            "data.preprocess._target_=genlab.data.Threshold data.preprocess.at=128"
        )


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """The folder to write to, empty and ours alone; removed where the work does not end."""
    partial = folder.with_name(f"{folder.name}.partial")
    require_writable(folder.parent)
    with writing(partial):
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder} is being written by another process: wait for it") from None
        left = [path for path in partial.iterdir() if not OURS.fullmatch(path.name)]
        if left:
            raise UsageError(f"{left[0]} is no shard: move it, as {partial} is to be written anew")
        with writing(partial):
            for path in partial.iterdir():
                path.unlink()
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)


class _Writer:
    """One split."""

    def __init__(
        self, folder: Path, split: str, spec: DataSpec, rows: int | None, form: str
    ) -> None:
        self.folder, self.split, self.spec, self.rows, self.form = folder, split, spec, rows, form

    def write(self, source: BatchSource) -> Columns:
        n = len(source)
        if n == 0:
            raise UsageError(
                f"{self.spec.name} has no {self.split} data: each split must hold some"
            )
        dtype = number_types(self.spec)[0]
        if self.spec.levels is None and source[torch.arange(1)].x.dtype == torch.float64:
            dtype = "float64"
        with ExitStack() as stack:
            x = stack.enter_context(self._column("x", self.spec.shape, dtype, n))
            label = None
            if self.spec.classes:
                label = stack.enter_context(self._column("label", (), label_type(self.spec), n))
            advance = stack.enter_context(progress(f"shard {self.split}", n))
            for numbers in stretches(n, max(1, NUMBERS // self.spec.size)):
                batch = source[numbers]
                x.append(self._numbers(batch.x, numbers))
                if label is not None:
                    label.append(self._labels(batch.label, numbers))
                advance(int(numbers[-1]) + 1, "rows")
            return Columns(x.column, None if label is None else label.column)

    def _column(self, of: str, shape: tuple[int, ...], dtype: str, n: int) -> ColumnWriter:
        name = f"{self.split}-{of}"
        return ColumnWriter(self.folder, name, shape, dtype, n, self.rows, self.form)

    def _numbers(self, x: Tensor, rows: Tensor) -> np.ndarray:
        """(B, *shape): level numbers, or the real numbers. What would come back changed is refused."""
        spec = self.spec
        if len(x) != len(rows) or not spec.contains(x):
            raise UsageError(
                f"{self.split} rows {rows[0]} … {rows[-1]} of {spec.name} do not all lie in "
                f"{spec.support}, {spec.shape}: mend the data module"
            )
        if spec.levels is None:
            return x.numpy()
        level = (x.float() * (spec.levels - 1)).round()
        if not torch.equal(level / (spec.levels - 1), x.float()):
            raise UsageError(
                f"{spec.name}: a level k of {spec.levels} must be float32 k / {spec.levels - 1}, so that "
                "shards give the same numbers: mend the data module"
            )
        return level.numpy()

    def _labels(self, label: Tensor | None, rows: Tensor) -> np.ndarray:
        classes = self.spec.classes
        if label is None or label.shape != rows.shape or not _within(label, classes):
            raise UsageError(
                f"{self.spec.name} has {classes} classes, and {self.split} labels that are none of them"
            )
        return label.numpy()


def _within(label: Tensor, classes: int) -> bool:
    return bool(((label >= 0) & (label < classes)).all())
