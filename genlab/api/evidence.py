"""Evidence from files that a person made: what a model is asked to complete.

| words | FILE | what is drawn |
|---|---|---|
| ``observed:left`` (right, top, bottom), ``observed:mask.png`` | a datum, known there | the rest of it |
| ``noisy:0.3`` | a datum with Gaussian noise of that deviation | the datum |
| ``pooled:4`` | the means over 4 × 4 pixels of an image | the image |
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genlab.contracts import DataSpec, Evidence, Noisy, Observed, Pooled, Support, UsageError
from genlab.trust import Refused
from genlab.trust.arrays import read_npz
from genlab.trust.pictures import read_picture

HALVES = ("left", "right", "top", "bottom")
KINDS: dict[str, type] = {"observed": Observed, "noisy": Noisy, "pooled": Pooled}
EXPECTED = "expected observed:left, observed:MASK.png, noisy:SIGMA or pooled:FACTOR"


def kind_of(words: str) -> tuple[str, str]:
    """The kind and its value. Raises UsageError where there is no such kind."""
    kind, _, value = words.partition(":")
    if kind not in KINDS or not value:
        raise UsageError(f"--evidence {words}: {EXPECTED}")
    return kind, value


def read_evidence(file: Path, words: str, spec: DataSpec, *, resize: bool = False) -> Evidence:
    """Evidence of B data. resize: bring an image of another size to the one that is expected.

    Raises UsageError where a file cannot be read or does not fit the data.
    """
    kind, value = kind_of(words)
    if not file.is_file():
        raise UsageError(f"--complete {file}: there is no such file")
    if kind == "observed":
        mask = half(value, spec) if value in HALVES else _read_mask(Path(value), spec, resize)
        x = _read(file, spec.shape, spec, resize)
        _require_data(file, x, spec)
        return Observed(x, mask.expand_as(x))
    if kind == "noisy":
        sigma = _sigma(value, words)
        return Noisy(_read(file, spec.shape, spec, resize), sigma)
    factor = _factor(value, words, spec)
    channels, height, width = spec.shape
    small = (channels, height // factor, width // factor)
    return Pooled(_read(file, small, spec, resize, levels=factor**2), factor)


def half(which: str, spec: DataSpec) -> Tensor:
    """(*shape) bool, True in that half; of an odd number of rows or columns, the smaller part."""
    if which in ("top", "bottom") and not spec.is_image:
        raise UsageError(
            f"--evidence observed:{which}: {spec.name} has no rows; say observed:left or observed:right"
        )
    axis = -2 if which in ("top", "bottom") else -1
    size = spec.shape[axis]
    mask = torch.zeros(spec.shape, dtype=torch.bool)
    start = 0 if which in ("left", "top") else size - size // 2
    mask.narrow(axis, start, size // 2).fill_(True)
    return mask


def _sigma(value: str, words: str) -> float:
    try:
        sigma = float(value)
    except ValueError:
        sigma = 0.0
    if not 0 < sigma < float("inf"):
        raise UsageError(f"--evidence {words}: expected a deviation above 0, as noisy:0.3")
    return sigma


def _factor(value: str, words: str, spec: DataSpec) -> int:
    """Raises UsageError unless it divides the images."""
    if not spec.is_image:
        raise UsageError(f"--evidence {words}: {spec.name} is no image")
    height, width = spec.shape[1:]
    fits = [n for n in range(2, min(height, width) + 1) if height % n == width % n == 0]
    if value not in map(str, fits):
        raise UsageError(
            f"--evidence {words}: images of {height}×{width} can be pooled by "
            f"{', '.join(map(str, fits)) or 'nothing'}"
        )
    return int(value)


def _read_mask(file: Path, spec: DataSpec, resize: bool) -> Tensor:
    """(*shape) bool: True where the image is at least half bright."""
    if not file.is_file():
        raise UsageError(
            f"--evidence observed:{file}: expected {', '.join(HALVES)}, or a mask image that exists"
        )
    if not spec.is_image:
        raise UsageError(f"--evidence observed:{file}: {spec.name} is no image; say observed:left")
    grey = _pixels(file, (1, *spec.shape[1:]), "--evidence observed:", resize)
    return (grey >= 0.5).expand(spec.shape)


def _read(
    file: Path, shape: tuple[int, ...], spec: DataSpec, resize: bool, levels: int = 1
) -> Tensor:
    """(B, *shape): an image (B = 1), or the array x of an .npz file.

    levels: an image is rounded to the levels of the data divided by this many.
    """
    if file.suffix == ".npz":
        return _read_array(file, shape)
    if not spec.is_image or spec.support is Support.REAL:
        raise UsageError(
            f"--complete {file}: {spec.name} is not made of pixels in [0, 1]; give an .npz file whose "
            f"array x is (B, {', '.join(map(str, shape))})"
        )
    assert spec.levels is not None, "only REAL data has no levels"
    top = (spec.levels - 1) * levels
    unit = _pixels(file, shape, "--complete ", resize)
    return ((unit * top + 0.5).floor() / top)[None]


def _pixels(file: Path, shape: tuple[int, ...], option: str, resize: bool) -> Tensor:
    """An image as (C, H, W) in [0, 1], of exactly this shape."""
    channels, height, width = shape
    try:
        image = read_picture(file)
    except Refused as error:
        raise UsageError(f"{option}{file} is no image that can be read: {error}") from None
    if image.size != (width, height) and not resize:
        raise UsageError(
            f"{option}{file} has {image.size[1]}×{image.size[0]} pixels (height × width); expected are "
            f"{height}×{width}: add --resize to have it resized"
        )
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BOX)
    rgb = np.asarray(image, np.float32).transpose(2, 0, 1) / 255
    if channels == 3:
        return torch.from_numpy(rgb.copy())
    if (rgb != rgb[:1]).any():
        raise UsageError(f"{option}{file} is in colour; a grey image is expected")
    return torch.from_numpy(rgb[:1].copy())


def _read_array(file: Path, shape: tuple[int, ...]) -> Tensor:
    try:
        x = torch.from_numpy(np.asarray(read_npz(file, ["x"])["x"], np.float32))
    except (Refused, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--complete {file} holds no array x that can be read: {error}") from None
    if tuple(x.shape) == shape:
        x = x[None]
    if tuple(x.shape[1:]) != shape or not len(x):
        raise UsageError(
            f"--complete {file}: x is {tuple(x.shape)}; expected (B, {', '.join(map(str, shape))})"
        )
    return x


def _require_data(file: Path, x: Tensor, spec: DataSpec) -> None:
    if not spec.contains(x):
        allowed = "0 and 1" if spec.levels == 2 else f"k / {(spec.levels or 2) - 1}"
        raise UsageError(f"--complete {file}: x holds values other than {allowed}")
