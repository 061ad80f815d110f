"""The data module that a configuration names."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from genlab.contracts import DataModule, DataSpec, Support, UsageError
from genlab.data.source import check_split
from genlab_hf.content import Content
from genlab_hf.labels import Labels
from genlab_hf.loading import load, stream
from genlab_hf.numbers import Numbers
from genlab_hf.pictures import Pictures
from genlab_hf.rows import Rows
from genlab_hf.splits import BLOCK, parts
from genlab_hf.table import Table

MB = 10**6
WINDOW = 256  # MB


class HuggingFaceData(DataModule):
    """One column of images, or columns of numbers, of a data set of Hugging Face ``datasets``.

    path: a file (.parquet, .arrow, .csv, .json, .jsonl), a folder of files, a folder made by
        ``Dataset.save_to_disk``, or a name on the hub. subset, revision, files: which configuration of a
        name, at which commit or tag, and which files make which split, as ``datasets.load_dataset`` takes
        them (name, revision, data_files).
    image: the column of images, in 256 levels; size: cut to size × size; mode: "grey" or "rgb".
    columns: those of numbers, all of them where there is no image; support, levels: see
        ``genlab_hf.numbers``. label: the column of labels; None for none.
    train, val, test: the names of the splits. What has none of its own is a tenth of the training rows,
        drawn from seed.
    cache: where ``datasets`` keeps what it fetched and converted; None is its own folder.
    streaming: parquet is read where it lies, a row group at a time, and nothing is kept on disk. The
        numbers are the same; only the order of an epoch is another, see ``genlab_hf.stream``.
    window: MB (10⁶ bytes) of row groups that are mixed and in memory when streaming; 256 where None.

    Raises UsageError and DataError, in one line, for what is not there or does not fit together.
    """

    def __init__(
        self,
        path: str,
        image: str | None = None,
        columns: tuple[str, ...] | None = None,
        label: str | None = None,
        size: int | None = None,
        mode: Literal["grey", "rgb"] = "rgb",
        support: Support | None = None,
        levels: int | None = None,
        train: str = "train",
        val: str | None = None,
        test: str | None = None,
        subset: str | None = None,
        revision: str | None = None,
        files: dict[str, str] | None = None,
        cache: str | None = None,
        seed: int = 0,
        batch_size: int = 100,
        streaming: bool = False,
        window: int | None = None,
    ) -> None:
        super().__init__(batch_size)
        _refuse_mixture(image, {"columns": columns, "support": support, "levels": levels})
        if image is None and size is not None:
            raise UsageError(f"data.size={size} belongs to images: give data.image=COLUMN")
        of_the_hub = {"subset": subset, "revision": revision, "files": files}
        if streaming:
            found = _streamed(path, cache, window, **of_the_hub)
        else:
            if window is not None:
                raise UsageError(f"data.window={window} belongs to data.streaming=true")
            chunk = BLOCK if image is None else None
            found = load(path, cache=cache, chunk=chunk, **of_the_hub)
        self.parts = parts(found, {"train": train, "val": val, "test": test}, seed)
        self.content: Content = (
            Numbers(self.parts, columns, label, support, levels)
            if image is None
            else Pictures(self.parts, image, size, mode == "rgb")
        )
        self.labels = None if label is None else Labels(self.parts, label)
        here = Path(path).expanduser()
        self._name = _name(here.resolve()) if here.exists() else path.split("/")[-1]
        origin = [None if here.exists() else path, subset, revision and f"revision {revision}"]
        self._version = ", ".join(filter(None, origin))

    @cached_property
    def spec(self) -> DataSpec:
        content = self.content
        return DataSpec(
            name=self._name,
            variant=", ".join(filter(None, [self._version, content.variant])),
            shape=content.shape,
            support=content.support,
            levels=content.levels if content.support is Support.LEVELS else None,
            log_scale=content.log_scale,
            classes=self.labels.classes if self.labels else 0,
        )

    def dataset(self, split: str) -> Rows:
        check_split(split)
        return Rows(self.parts[split], split, self.content, self.labels)


def _streamed(
    path: str,
    cache: str | None,
    window: int | None,
    subset: str | None,
    revision: str | None,
    files: dict[str, str] | None,
) -> dict[str, Table]:
    if cache is not None:
        raise UsageError(f"data.cache={cache}: data.streaming=true keeps nothing; leave one out")
    if window is not None and window < 1:
        raise UsageError(f"data.window={window} must be at least 1 (MB)")
    most = MB * (window or WINDOW)
    return stream(path, subset=subset, revision=revision, files=files, window=most)


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _refuse_mixture(image: str | None, of_numbers: dict[str, object]) -> None:
    for name, value in of_numbers.items():
        if image is not None and value is not None:
            raise UsageError(
                f"data.{name} belongs to columns of numbers: leave it out, or data.image={image}"
            )
