"""One picture as bytes of a pixel: turned upright, on white, in grey or colour, cut to a size."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from genlab.contracts import DataError
from genlab.trust.pictures import read_picture

DEEP = ("I", "F")  # modes that begin so have more than 8 bits a channel


def pixels(file: Path | IO[bytes], size: int | None, colour: bool) -> np.ndarray:
    """(C, H, W) uint8 of a picture in a file, C = 3 in colour and else 1.

    It is turned as its EXIF data say, what is transparent is white, and it is scaled and cut about its
    centre to size × size; None leaves it as large as it is.
    Raises DataError, with the reason alone, for what is no picture of 8 bits a channel.
    """
    image = read_picture(file, upright=True)
    if image.mode.startswith(DEEP):
        raise DataError(f"mode {image.mode}: convert it to 8 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    image = image.convert("RGB" if colour else "L")
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    values = np.asarray(image)
    return values.transpose(2, 0, 1) if colour else values[None]
