"""A person's own pictures: the image files of a folder, cut to one square size."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from genlab.contracts import DataError, UsageError
from genlab.data.pictures import pixels
from genlab.data.source import SPLITS, Arrays, Source
from genlab.randomness import key

SUFFIXES = frozenset(
    [".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"]
)
NAMES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
HELD_OUT = {"val": 0.1, "test": 0.1}  # of the pictures, where there is no folder of that name


class Picture(NamedTuple):
    """path: of the file; label: the number of its class, or None."""

    path: Path
    label: int | None


class ImageFolder(Source):
    """The pictures of a folder, scaled and cut about their centre to size × size, in 256 levels.

    mode: "grey" or "rgb". recursive: whether pictures in folders below count.
    A folder ``train`` (and ``val`` or ``valid``, and ``test``) gives the splits; what is missing is a tenth
    of the pictures, chosen by a hash of (seed, relative path), so that adding pictures moves no other.
    Where all pictures of a split lie in folders, at least two, those names are the labels, sorted.
    Pictures are turned as their EXIF data say, and what is transparent is white.
    """

    def __init__(
        self,
        path: str,
        size: int,
        mode: Literal["grey", "rgb"] = "rgb",
        recursive: bool = True,
        seed: int = 0,
    ) -> None:
        root = Path(path).expanduser()
        if not root.is_dir():
            raise DataError(f"data.path={path} is no folder: give one that holds pictures")
        if size < 1:
            raise UsageError(f"data.size={size} must be at least 1")
        self.path, self.size, self.colour = root, size, mode == "rgb"
        self._pictures = _splits(root, recursive, seed)
        for split in SPLITS:
            if not self._pictures[split]:
                raise DataError(
                    f"data.path={path} leaves no picture for {split}: it holds "
                    f"{sum(map(len, self._pictures.values()))} ({', '.join(sorted(SUFFIXES))})"
                )
        labels = {picture.label for pictures in self._pictures.values() for picture in pictures}
        classes = 0 if None in labels else len(labels)
        channels = 3 if self.colour else 1
        shape, version = (channels, size, size), f"{size}×{size} {mode}"
        super().__init__(root.resolve().name, shape, 256, classes, version)

    def read(self, split: str) -> Arrays:
        """Raises DataError that names the files which are no pictures."""
        pictures, x, bad = self._pictures[split], [], []
        for picture in pictures:
            try:
                x.append(pixels(picture.path, self.size, self.colour))
            except DataError as reason:
                bad.append(f"{picture.path.relative_to(self.path)} ({reason})")
        if bad:
            raise DataError(
                f"{len(bad)} of {len(pictures)} {split} files in {self.path} cannot be read: "
                f"{', '.join(bad[:3])}{', …' if len(bad) > 3 else ''}; mend or remove them"
            )
        label = np.array([picture.label for picture in pictures]) if self.classes else None
        return Arrays(np.stack(x), label)


def _splits(root: Path, recursive: bool, seed: int) -> dict[str, list[Picture]]:
    """The pictures of each split, in the order of their paths, and in no other split."""
    given = {split: _first_folder(root, NAMES[split]) for split in SPLITS}
    whole = given["train"] or root
    files = _files(whole, recursive)
    names = _classes(whole, files)
    missing = [split for split in ("val", "test") if given["train"] is None or given[split] is None]
    parts: dict[str, list[Picture]] = {split: [] for split in SPLITS}
    for file in files:
        parts[_share(file.relative_to(whole), seed, missing)].append(_picture(whole, file, names))
    for split in ("val", "test"):
        folder = given[split]
        if split not in missing and folder is not None:
            parts[split] = [_picture(folder, f, names) for f in _files(folder, recursive)]
    return parts


def _first_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _files(folder: Path, recursive: bool) -> list[Path]:
    found = folder.rglob("*") if recursive else folder.glob("*")
    visible = (p for p in found if not any(q.startswith(".") for q in p.relative_to(folder).parts))
    return sorted(p for p in visible if p.suffix.lower() in SUFFIXES and p.is_file())


def _classes(folder: Path, files: list[Path]) -> list[str]:
    """The sorted names of the folders that all files lie in; empty where they are no classes."""
    parts = [file.relative_to(folder).parts for file in files]
    names = sorted({p[0] for p in parts if len(p) > 1})
    return names if len(names) > 1 and all(len(p) > 1 for p in parts) else []


def _picture(folder: Path, file: Path, names: list[str]) -> Picture:
    if not names:
        return Picture(file, None)
    own = file.relative_to(folder).parts[0]
    if own not in names:
        raise DataError(
            f"{file} lies in no folder of a class that the training pictures have: {', '.join(names)}"
        )
    return Picture(file, names.index(own))


def _share(name: Path, seed: int, missing: list[str]) -> str:
    """The split of a picture, by its own name alone."""
    u = key("image folder", seed, name.as_posix()) / 2**63
    for split in missing:
        if u < HELD_OUT[split]:
            return split
        u -= HELD_OUT[split]
    return "train"
