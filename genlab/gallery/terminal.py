"""A picture as text: each character is two pixels, one above the other, in 24-bit colours."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from genlab.trust.pictures import read_picture

UPPER_HALF, PLAIN = "▀", "\x1b[0m"


def text_of(picture: Path, columns: int) -> str:
    """A file's picture in at most so many columns: means over squares of pixels, as few as will do."""
    image = read_picture(picture).convert("RGB")
    pixels = np.asarray(image.reduce(math.ceil(image.width / columns)))
    pixels = np.pad(pixels, ((0, len(pixels) % 2), (0, 0), (0, 0)), mode="edge")
    return "\n".join(map(_line, pixels[::2], pixels[1::2]))


def _line(above: np.ndarray, below: np.ndarray) -> str:
    cells = (
        _colour(38, a) + _colour(48, b) + UPPER_HALF for a, b in zip(above, below, strict=True)
    )
    return "".join(cells) + PLAIN


def _colour(ground: int, rgb: np.ndarray) -> str:
    red, green, blue = rgb
    return f"\x1b[{ground};2;{red};{green};{blue}m"
