"""Data and masks from files that a person made: what a model is asked to complete."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from genlab.contracts import DataSpec, Observed, Support, UsageError

HALVES = ("left", "right", "top", "bottom")


def read_evidence(file: Path, observed: str, spec: DataSpec) -> Observed:
    """Evidence of B data, each (B, *shape). observed: one of HALVES, or the path of a mask image.

    Raises UsageError where a file cannot be read or does not fit the data.
    """
    x = read_data(file, spec)
    mask = half(observed, spec) if observed in HALVES else _read_mask(Path(observed), spec)
    return Observed(x, mask.expand_as(x))


def read_data(file: Path, spec: DataSpec) -> Tensor:
    """(B, *shape) inside the support: an image (B = 1), or the array x of an .npz file."""
    if not file.is_file():
        raise UsageError(f"--complete {file}: there is no such file")
    return _read_array(file, spec) if file.suffix == ".npz" else _read_image(file, spec)


def half(which: str, spec: DataSpec) -> Tensor:
    """(*shape) bool, True in that half; of an odd number of rows or columns, the smaller part."""
    if which in ("top", "bottom") and not spec.is_image:
        raise UsageError(f"--observed {which}: {spec.name} has no rows; say left or right")
    axis = -2 if which in ("top", "bottom") else -1
    size = spec.shape[axis]
    mask = torch.zeros(spec.shape, dtype=torch.bool)
    start = 0 if which in ("left", "top") else size - size // 2
    mask.narrow(axis, start, size // 2).fill_(True)
    return mask


def _read_mask(file: Path, spec: DataSpec) -> Tensor:
    """(*shape) bool: True where the image is at least half bright."""
    if not file.is_file():
        raise UsageError(
            f"--observed {file}: expected {', '.join(HALVES)}, or a mask image that exists"
        )
    if not spec.is_image:
        raise UsageError(f"--observed {file}: {spec.name} is no image; say left or right")
    grey = _pixels(file, (1, *spec.shape[1:]), "--observed")
    return (grey >= 0.5).expand(spec.shape)


def _read_image(file: Path, spec: DataSpec) -> Tensor:
    if not spec.is_image or spec.support is Support.REAL:
        raise UsageError(
            f"--complete {file}: {spec.name} is not made of pixels in [0, 1]; give an .npz file whose "
            f"array x is (B, {', '.join(map(str, spec.shape))})"
        )
    assert spec.levels is not None, "only REAL data has no levels"
    top = spec.levels - 1
    unit = _pixels(file, spec.shape, "--complete")
    return ((unit * top + 0.5).floor() / top)[None]


def _pixels(file: Path, shape: tuple[int, ...], option: str) -> Tensor:
    """An image as (C, H, W) in [0, 1], of exactly this shape."""
    channels, height, width = shape
    try:
        with Image.open(file) as image:
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UsageError(f"{option} {file} is no image that can be read: {error}") from None
    if image.size != (width, height):
        raise UsageError(
            f"{option} {file} has {image.size[1]}×{image.size[0]} pixels (height × width); the data have "
            f"{height}×{width}"
        )
    rgb = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255
    if channels == 3:
        return torch.from_numpy(rgb.copy())
    if (rgb != rgb[:1]).any():
        raise UsageError(f"{option} {file} is in colour; a grey image is expected")
    return torch.from_numpy(rgb[:1].copy())


def _read_array(file: Path, spec: DataSpec) -> Tensor:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            x = torch.from_numpy(np.asarray(arrays["x"], np.float32))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"--complete {file} holds no array x that can be read: {error}") from None
    if tuple(x.shape) == spec.shape:
        x = x[None]
    if tuple(x.shape[1:]) != spec.shape or not len(x):
        raise UsageError(
            f"--complete {file}: x is {tuple(x.shape)}; expected (B, {', '.join(map(str, spec.shape))})"
        )
    if not spec.contains(x):
        allowed = "0 and 1" if spec.levels == 2 else f"k / {(spec.levels or 2) - 1}"
        raise UsageError(f"--complete {file}: x holds values other than {allowed}")
    return x
