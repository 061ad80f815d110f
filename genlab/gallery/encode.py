"""Pictures as files. The same picture and the same words give the same bytes: no time is written."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECONDS = 3.0  # an animation lasts about this long …
HOLD = 1500  # … and shows its last frame for this many milliseconds more


def png(picture: np.ndarray, about: Mapping[str, str] | None = None) -> bytes:
    """picture: (Y, X, 3) uint8. about: words kept in the file's metadata."""
    return _save(_image(picture), "PNG", pnginfo=_info(about), optimize=True)


def apng(frames: Sequence[np.ndarray], about: Mapping[str, str] | None = None) -> bytes:
    """frames: pictures (Y, X, 3) of one size, played without end."""
    first, *rest = _alike(frames)
    return _save(
        first,
        "PNG",
        pnginfo=_info(about),
        save_all=True,
        append_images=rest,
        duration=durations(len(frames)),
        loop=0,
    )


def gif(frames: Sequence[np.ndarray], about: Mapping[str, str] | None = None) -> bytes:
    """As ``apng``, for programs that know only GIF; more than 256 colours are reduced to 256."""
    images = _alike(frames)
    if images[0].mode == "RGB":
        palette = _palette(images)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    comment = "\n".join(f"{key}: {value}" for key, value in (about or {}).items())
    return _save(
        images[0],
        "GIF",
        comment=comment.encode("ascii", "backslashreplace"),
        save_all=True,
        append_images=images[1:],
        duration=durations(len(images)),
        loop=0,
    )


def webp(frames: Sequence[np.ndarray]) -> bytes:
    """As ``apng``, without loss and about a third of its size."""
    first, *rest = [Image.fromarray(frame) for frame in frames]
    timing: dict[str, object] = {"duration": durations(len(frames)), "loop": 0}
    return _save(first, "WEBP", save_all=True, append_images=rest, lossless=True, **timing)


def durations(frames: int) -> list[int]:
    """Milliseconds for each frame, in the hundredths of a second that GIF knows."""
    each = int(min(400, max(40, 1000 * SECONDS / frames))) // 10 * 10
    return [each] * (frames - 1) + [each + HOLD]


def _image(picture: np.ndarray) -> Image.Image:
    return _alike([picture])[0]


def _alike(frames: Sequence[np.ndarray]) -> list[Image.Image]:
    """Frames of one kind, the smallest that loses nothing: grey, 256 colours for all, or true colour."""
    stack = np.stack(frames)
    if (stack == stack[..., :1]).all():
        return [Image.fromarray(np.ascontiguousarray(frame[..., 0])) for frame in stack]
    codes = stack.astype(np.uint32) @ np.asarray([1 << 16, 1 << 8, 1], np.uint32)
    colours, indices = np.unique(codes, return_inverse=True)
    if len(colours) > 256:
        return [Image.fromarray(frame) for frame in stack]
    return [_indexed(part, colours) for part in indices.reshape(codes.shape).astype(np.uint8)]


def _indexed(indices: np.ndarray, colours: np.ndarray) -> Image.Image:
    """indices: (Y, X) uint8 into colours, each 0xRRGGBB."""
    image = Image.fromarray(indices)
    image.putpalette(b"".join(int(colour).to_bytes(3, "big") for colour in colours))
    return image


def _palette(images: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all frames, chosen from the first, the middle and the last."""
    chosen = [np.asarray(images[i]) for i in sorted({0, len(images) // 2, len(images) - 1})]
    return Image.fromarray(np.concatenate(chosen)).quantize(256)


def _info(about: Mapping[str, str] | None) -> PngInfo:
    info = PngInfo()
    for key, value in (about or {}).items():
        info.add_itxt(key, value)
    return info


def _save(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
