"""Matrices as heat maps: viridis, which is even to the eye and to colour-blind eyes, and its scale."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genlab.gallery.pixels import MISSING, beside, magnify

# Sixteen colours of viridis (S. van der Walt and N. Smith, 2015, CC0); between them, straight lines.
VIRIDIS = (
    "440154 481a6c 472f7d 414487 39568c 31688e 2a788e 23888e "
    "1f988b 22a884 35b779 54c568 7ad151 a5db36 d2e21b fde725"
)
ANCHORS = np.asarray([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()], float)
SIDE = 420  # screen pixels: the longer side of the map is about this long
BAR, ROOM = 14, 78  # width of the colour bar; room for it and its labels
INK = (40, 43, 48)


def viridis(unit: np.ndarray) -> np.ndarray:
    """(…) in [0, 1] → (…, 3) uint8."""
    at = np.clip(unit, 0, 1) * (len(ANCHORS) - 1)
    channels = [np.interp(at, np.arange(len(ANCHORS)), ANCHORS[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def heat_map(values: np.ndarray) -> np.ndarray:
    """(Y, X, 3): values (rows, columns) between their least and greatest, printed on a colour bar.

    Several, (n, rows, columns), lie side by side on one scale. Values that are not finite are magenta.
    Raises ValueError where values are no matrices.
    """
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"a matrix has rows and columns, not the shape {values.shape}")
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    unit = np.where(finite, values - low, 0) / ((high - low) or 1.0)
    cells = viridis(unit)
    cells[~finite] = MISSING
    factor = max(1, min(24, SIDE // max(values.shape[-2:])))
    cells = magnify(cells, factor)
    picture = beside(list(cells)) if values.ndim == 3 else cells
    return _with_scale(picture, float(low), float(high))


def _with_scale(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    height, width = picture.shape[:2]
    whole = Image.new("RGB", (width + ROOM, max(height, 80) + 16), "white")
    whole.paste(Image.fromarray(picture), (0, 8))
    tall = max(height, 80)
    bar = viridis(np.linspace(1, 0, tall))[:, None].repeat(BAR, axis=1)
    whole.paste(Image.fromarray(bar), (width + 10, 8))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(11)
    for part in (0.0, 0.5, 1.0):
        label = f"{low + part * (high - low):.3g}"
        y = 8 + (1 - part) * (tall - 1)
        pen.text((width + 10 + BAR + 5, y), label, fill=INK, font=font, anchor="lm")
    return np.asarray(whole)
