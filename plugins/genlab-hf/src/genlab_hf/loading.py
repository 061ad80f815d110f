"""A path or a name as the splits of ``datasets``, in Arrow files that are mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetDict
from datasets.exceptions import DatasetsError
from pyarrow.dataset import ParquetFragmentScanOptions

from genlab.contracts import DataError

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
) -> dict[str, Dataset]:
    """The splits by name, as ``datasets.load_dataset`` finds them.

    path: a file, a folder of files, a folder of ``Dataset.save_to_disk``, or a name on the hub. files:
    which files, or patterns, make which split. The files of all but a saved folder are converted once,
    into Arrow files in cache (the folder of ``datasets`` where None). No code of a data set is run.
    chunk: rows of each piece of those files (1,000 where None). What is kept in memory of a piece, some
    0.7 kB for each of its columns, is much where a row is short.
    Raises DataError in one line where there is nothing of this name, or it cannot be read.
    """
    local = Path(path).expanduser()
    options: dict[str, Any] = {"cache_dir": cache, "writer_batch_size": chunk}
    if not local.exists() and _looks_like_a_path(path):
        raise DataError(
            f"data.path={path} does not exist: give a file, a folder or a name on the hub"
        )
    try:
        if local.is_dir() and any((local / name).is_file() for name in SAVED):
            return _by_name(datasets.load_from_disk(str(local)))
        if local.is_file():
            kind, files = _kind(local), files or {"train": str(local)}
            options |= {"fragment_scan_options": PIECEMEAL} if kind == "parquet" else {}
            return _by_name(datasets.load_dataset(kind, data_files=files, **options))
        source = str(local) if local.is_dir() else path
        return _by_name(
            datasets.load_dataset(source, subset, revision=revision, data_files=files, **options)
        )
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


def _by_name(loaded: Any) -> dict[str, Dataset]:
    """A data set that was saved alone is its training split."""
    splits = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {str(name): dataset for name, dataset in splits.items()}


def _line(error: BaseException) -> str:
    """The first line of the error that lies deepest: what is around it says that something failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
