"""Pictures, by decoders that only decode: an EPS file in the guise of a PNG would start Ghostscript."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps

from genlab.trust.files import Refused, admit

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_picture(file: Path | IO[bytes], *, upright: bool = False) -> Image.Image:
    """The first frame of a picture, decoded. upright: turned as its EXIF data say.

    Raises Refused, with the reason alone, for what is no picture of these formats, is not whole, or has
    more than 89 million pixels (``Image.MAX_IMAGE_PIXELS``).
    """
    if isinstance(file, Path):
        admit(file)
    with _warned():
        try:
            with Image.open(file, formats=FORMATS) as image:
                image.load()
                return ImageOps.exif_transpose(image) if upright else image.copy()
        except Exception as error:  # Pillow raises whatever a broken file makes it raise
            raise Refused(_reason(error)) from error


def size_of(content: bytes, formats: tuple[str, ...]) -> tuple[int, int]:
    """(width, height) of a picture whose parts are whole, without decoding it. Raises Refused, also for
    one that ``read_picture`` would not decode.
    """
    with _warned():
        try:
            with Image.open(io.BytesIO(content), formats=formats) as image:
                size = image.size
                image.verify()
        except Exception as error:
            raise Refused(_reason(error)) from error
    return size


@contextmanager
def _warned() -> Iterator[None]:
    """Broken metadata, which nobody reads, pass; too many pixels are an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "no picture"
    return " ".join(str(error).split())[:200] or type(error).__name__
