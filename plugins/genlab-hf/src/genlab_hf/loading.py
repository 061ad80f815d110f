"""A path or a name as tables, one for each split: mapped from Arrow files, or streamed from parquet."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
from datasets import DatasetDict, Features
from datasets.exceptions import DatasetsError
from pyarrow.dataset import ParquetFragmentScanOptions

from genlab.contracts import DataError, UsageError
from genlab_hf.groups import RowGroups, open_parquet
from genlab_hf.stream import Stream
from genlab_hf.table import Mapped, Table

KINDS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
}
# pyarrow would hold all of a file in memory while it is converted
PIECEMEAL = ParquetFragmentScanOptions(pre_buffer=False)
SAVED = ("dataset_dict.json", "state.json")  # what Dataset.save_to_disk leaves in its folder


def load(
    path: str,
    *,
    subset: str | None = None,
    revision: str | None = None,
    files: dict[str, str] | None = None,
    cache: str | None = None,
    chunk: int | None = None,
) -> dict[str, Table]:
    """The splits by name, as ``datasets.load_dataset`` finds them, mapped into memory.

    path: a file, a folder of files, a folder of ``Dataset.save_to_disk``, or a name on the hub. files:
    which files, or patterns, make which split. The files of all but a saved folder are converted once,
    into Arrow files in cache (the folder of ``datasets`` where None). No code of a data set is run.
    chunk: rows of each piece of those files (1,000 where None). What is kept in memory of a piece, some
    0.7 kB for each of its columns, is much where a row is short.
    Raises DataError in one line where there is nothing of this name, or it cannot be read.
    """
    local = _found(path, subset, revision)
    with _readable(path):
        if _is_saved(local):
            loaded = datasets.load_from_disk(str(local))
        else:
            what = _asked(path, subset, revision, files)
            if what["path"] == "parquet":
                what["fragment_scan_options"] = PIECEMEAL
            loaded = datasets.load_dataset(**what, cache_dir=cache, writer_batch_size=chunk)
    # a data set that was saved alone is its training split
    splits = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {str(name): Mapped(dataset) for name, dataset in splits.items()}


def stream(
    path: str,
    *,
    subset: str | None = None,
    revision: str | None = None,
    files: dict[str, str] | None = None,
    window: int,
) -> dict[str, Table]:
    """The splits by name, as ``datasets.load_dataset`` finds them, read where they lie.

    window: bytes of decoded row groups that are in memory at a time. Nothing is written to disk.
    Raises UsageError for what is not parquet, DataError for what cannot be read.
    """
    if _is_saved(_found(path, subset, revision)):
        raise UsageError(
            f"data.path={path} was saved by Dataset.save_to_disk: leave out data.streaming, which reads "
            "parquet; such a folder is read where it lies"
        )
    with _readable(path), TemporaryDirectory() as empty:  # datasets leaves a lock in its cache
        what = _asked(path, subset, revision, files)
        builder = datasets.load_dataset_builder(**what, cache_dir=empty)
        if builder.name != "parquet" or not builder.config.data_files:
            raise UsageError(
                f"data.streaming=true reads parquet, and data.path={path} is {builder.name}: leave it out, "
                "or write the data with Dataset.to_parquet"
            )
        found = {str(k): [str(f) for f in v] for k, v in builder.config.data_files.items()}
        features = builder.info.features or _features(next(iter(found.values()))[0])
        memory = RowGroups(window)
        return {name: Stream(lying, features, memory) for name, lying in found.items()}


def _features(file: str) -> Features:
    with open_parquet(file) as parquet:
        return Features.from_arrow_schema(parquet.schema_arrow)


def _found(path: str, subset: str | None, revision: str | None) -> Path:
    """The path here. Raises DataError where there is none and it is no name on the hub, UsageError for
    options of such a name beside a path."""
    local = Path(path).expanduser()
    for name, value in {"subset": subset, "revision": revision}.items():
        if value is not None and (local.is_file() or (name == "revision" and local.is_dir())):
            raise UsageError(
                f"data.{name}={value} belongs to a name on the hub, and {path} is here"
            )
    if not local.exists() and _looks_like_a_path(path):
        raise DataError(
            f"data.path={path} does not exist: give a file, a folder or a name on the hub"
        )
    return local


def _is_saved(local: Path) -> bool:
    return local.is_dir() and any((local / name).is_file() for name in SAVED)


def _asked(
    path: str, subset: str | None, revision: str | None, files: dict[str, str] | None
) -> dict[str, Any]:
    """What is asked of ``datasets``, as keywords."""
    local = Path(path).expanduser()
    if local.is_file():
        return {"path": _kind(local), "data_files": files or {"train": glob.escape(str(local))}}
    source = str(local.resolve()) if local.is_dir() else path
    return {"path": source, "name": subset, "revision": revision, "data_files": files}


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """What goes wrong in ``datasets`` as one line."""
    try:
        yield
    except UsageError:
        raise
    except ConnectionError as error:
        raise DataError(
            f"data.path={path} is no file or folder here, and the hub was not reached: {_line(error)}"
        ) from error
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"data.path={path} cannot be read: {_line(error)}") from error


def _looks_like_a_path(path: str) -> bool:
    """Whether it is no name on the hub, which is NAME or OWNER/NAME."""
    return (
        path.startswith((".", "/", "~"))
        or path.count("/") > 1
        or Path(path).suffix.lower() in KINDS
    )


def _kind(file: Path) -> str:
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise DataError(f"data.path={file}: expected a file of {', '.join(KINDS)}, or a folder")
    return kind


def _line(error: BaseException) -> str:
    """The first line of the error that lies deepest: what is around it says that something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
