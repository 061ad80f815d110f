"""The folder of a gallery: written beside the old one, checked against what is there, and put in its place.

A list of the files that genlab wrote lies in it. They alone are removed, and nothing else is replaced
unless that is asked for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from genlab.errors import UsageError
from genlab.runs import atomic, require_writable, write_json
from genlab.trust import read_json

MANIFEST = ".genlab-gallery.json"
STAGING = ".genlab-gallery.new"
RECORD = "run.json"  # a folder that has one which no gallery wrote is a run


class Site:
    """A context: what did not take its place is removed at the end.

    overwrite: files of the same names that genlab did not write may be replaced.
    Raises UsageError where the folder holds something else than a gallery and overwrite is not given.
    """

    def __init__(self, out: Path, *, overwrite: bool) -> None:
        self.out, self.overwrite = out, overwrite
        self.staging = out / STAGING
        self.names: list[str] = []
        self._require_folder()
        self.before = _written(out)

    def __enter__(self) -> Site:
        self._remove_staging()
        return self

    def __exit__(self, *_: object) -> None:
        self._remove_staging()
        _remove_if_empty(self.out)

    def _remove_staging(self) -> None:
        if self.staging.is_symlink() or self.staging.is_file():
            self.staging.unlink()
        shutil.rmtree(self.staging, ignore_errors=True)

    def _require_folder(self) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"-o {self.out} is a file: name a folder")
        require_writable(self.out)
        there = {path.name for path in self.out.iterdir()} if self.out.is_dir() else set()
        if there - {STAGING} and MANIFEST not in there and not self.overwrite:
            raise UsageError(
                f"{self.out} holds something else than a gallery: name another folder with -o, or give "
                "--overwrite, which replaces files of the same name and keeps the others"
            )

    def write(self, files: Mapping[str, bytes]) -> None:
        """Files by their names in the folder."""
        self.names += files
        for name, data in files.items():
            with atomic(self.staging / name) as file:
                file.write(data)

    def take_place(self) -> None:
        """Remove the old gallery and move the new one there; the list names files before they come.

        Raises UsageError, before anything is touched, where that would lose something else.
        """
        for name in self.names:
            self._require_free(name)
        self._clear()
        write_json(self.out / MANIFEST, {"genlab": "gallery", "files": self.names})
        for name in self.names:
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
            (self.staging / name).replace(self.out / name)

    def _require_free(self, name: str) -> None:
        path = self.out / name
        for folder in Path(name).parents[:-1]:
            self._require_own(folder)
        if path.is_dir() and not path.is_symlink():
            raise UsageError(f"{path} is a folder: name another one for the gallery with -o")
        if os.path.lexists(path) and name not in self.before and not self.overwrite:
            raise UsageError(
                f"{path} was not written by genlab gallery: name another folder with -o, or give "
                "--overwrite, which replaces it"
            )

    def _require_own(self, folder: Path) -> None:
        """Raise UsageError where it is no plain folder, or a run that no gallery wrote."""
        place, record = self.out / folder, folder / RECORD
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            raise UsageError(f"{place} is no folder of this gallery's own: name another with -o")
        if os.path.lexists(self.out / record) and record.as_posix() not in self.before:
            raise UsageError(
                f"{place} is a run, which no page takes the place of: name another folder with -o"
            )

    def _clear(self) -> None:
        """Remove what an earlier gallery wrote here, and folders that are empty then."""
        for path in self._own():
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.out).parents[:-1]:
                _remove_if_empty(self.out / folder)

    def _own(self) -> Iterator[Path]:
        for name in self.before:
            path = self.out / name
            if path.parent.resolve().is_relative_to(self.out.resolve()) and not path.is_dir():
                yield path


def _written(out: Path) -> list[str]:
    """The names in the list of an earlier gallery. Raises UsageError where it is damaged."""
    manifest = out / MANIFEST
    if not manifest.is_file():
        return []
    try:
        names = read_json(manifest, out)["files"]
        return [str(name) for name in names]
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{manifest} is damaged, so nothing can be removed safely: name another folder with -o"
        ) from None


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
