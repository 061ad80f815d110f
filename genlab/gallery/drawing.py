"""Figures and samples as picture files. Knows what a figure is, and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from genlab.contracts import DataSpec, Figure, Images, Matrix, Plane, Support, Surface
from genlab.gallery.encode import apng, gif, png, webp
from genlab.gallery.heat import heat_map
from genlab.gallery.pixels import (
    GAP,
    Grid,
    beside,
    columns_for,
    magnification,
    magnify,
    paint,
    tile,
    tinted,
)
from genlab.gallery.plane import STANDARD, Window, panel, surface_panel, window_of

COLUMNS = 8
STRIP = 12  # a still picture of an animation shows at most this many of its frames
PANELS = 4  # … and this many where each is a plot
REAL_RANGE = 3.0  # standardised values from -3 (black) to 3 (white)
THUMB = (322, 220)  # screen pixels: width and height that a thumbnail may take
MOST = 200  # frames in a sheet
SMALL = 260  # screen pixels: an animation narrower than this is magnified twice as much

About = Mapping[str, str]


@dataclass(frozen=True)
class Picture:
    """One file. role: "still", "animation" (APNG), "gif", "webp" or "frames" (all in one sheet)."""

    role: str
    suffix: str
    data: bytes


@dataclass(frozen=True)
class Drawn:
    """The files of one figure, and what a viewer must know beside the caption.

    grid: how the cells of the still picture lie; sheet: how the frames lie in theirs.
    """

    pictures: tuple[Picture, ...]
    note: str = ""
    grid: Grid | None = None
    sheet: Grid | None = None

    @property
    def still(self) -> bytes:
        return next(p.data for p in self.pictures if p.role == "still")


def draw(figure: Figure, about: About | None = None) -> Drawn:
    """The files of a figure: a PNG and, animated, an APNG and a GIF. about: words for the metadata.

    Raises ValueError where the figure's arrays do not have the shapes that its kind promises.
    """
    content = figure.content
    if isinstance(content, Images):
        known = None if content.known is None else content.known.cpu().numpy()
        return _draw_images(_array(content.pixels), known, figure.animated, about)
    if isinstance(content, Plane):
        return _draw_plane(content, figure.animated, about)
    if isinstance(content, Matrix):
        return _drawn(heat_map(_array(content.values)), about)
    if isinstance(content, Surface):
        return _draw_surface(content, about)
    raise ValueError(
        f"a figure shows Images, a Plane, a Matrix or a Surface, not {type(content).__name__}"
    )


def thumbnail(samples: Tensor, spec: DataSpec, about: About | None = None) -> bytes:
    """A PNG of the first few samples (n, *shape), as many as fit into the tile of an index."""
    if spec.is_image:
        factor, (height, width) = magnification(*spec.shape[-2:]), spec.shape[-2:]
        columns = max(1, min(len(samples), (THUMB[0] - GAP) // (factor * width + GAP)))
        rows = max(1, min(len(samples) // columns, (THUMB[1] - GAP) // (factor * height + GAP)))
        unit, _ = _unit_interval(_array(samples[: rows * columns]), spec)
        return png(tile(magnify(paint(unit).colours, factor), columns), about)
    if _is_planar(spec):
        return png(panel(_array(samples), STANDARD, side=180), about)
    return sample_grid(samples[:16], spec, about).still


def _is_planar(spec: DataSpec) -> bool:
    return spec.support is Support.REAL and spec.shape == (2,)


def sample_grid(samples: Tensor, spec: DataSpec, about: About | None = None) -> Drawn:
    """Samples or data (n, *shape) as one picture: images in a grid, points as a scatter, else a matrix.

    The scale is fixed by the support, so pictures of one data set can be laid side by side.
    """
    x = _array(samples)
    if spec.is_image:
        unit, note = _unit_interval(x, spec)
        painted = paint(unit)
        factor = magnification(*spec.shape[-2:])
        columns = min(COLUMNS, len(x))
        picture = tile(magnify(painted.colours, factor), columns)
        height, width = (factor * side for side in spec.shape[-2:])
        grid = Grid(len(x), columns, width, height, GAP)
        return replace(_drawn(picture, about, note, painted.note), grid=grid)
    if _is_planar(spec):
        return _drawn(panel(x, STANDARD), about, _lost(x, STANDARD))
    return _draw_rows(x.reshape(len(x), -1), spec, about)


def image_pixels(samples: Tensor, spec: DataSpec) -> list[bytes]:
    """One PNG for each image of samples: (n, C, H, W), pixel for pixel, for other programs to read."""
    unit, _ = _unit_interval(_array(samples), spec)
    return [png(colours) for colours in paint(unit).colours]


def how_many(spec: DataSpec) -> int:
    """How many samples make a picture: a cloud of points needs more than a grid of images."""
    return 1024 if _is_planar(spec) else 64


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def _drawn(picture: np.ndarray, about: About | None, *notes: str) -> Drawn:
    return Drawn((Picture("still", ".png", png(picture, about)),), _sentence(*notes))


def _animated(
    still: np.ndarray, frames: list[np.ndarray], about: About | None, *notes: str
) -> Drawn:
    pictures = (
        Picture("still", ".png", png(still, about)),
        Picture("animation", ".apng", apng(frames, about)),
        Picture("gif", ".gif", gif(frames, about)),
        Picture("webp", ".webp", webp(frames)),
    )
    if len(frames) > MOST:
        return Drawn(pictures, _sentence(*notes))
    sheet = Grid(len(frames), columns_for(len(frames)), frames[0].shape[1], frames[0].shape[0])
    picture = Picture("frames", ".frames.png", png(tile(np.stack(frames), sheet.columns, 0), about))
    return Drawn((*pictures, picture), _sentence(*notes), sheet=sheet)


def _sentence(*notes: str) -> str:
    return " ".join(note for note in notes if note)


def scale_of(spec: DataSpec) -> str:
    """What black and white are, where that is not 0 and 1."""
    if spec.support is not Support.REAL:
        return ""
    return f"Standardised values from −{REAL_RANGE:g} (black) to {REAL_RANGE:g} (white)."


def _unit_interval(x: np.ndarray, spec: DataSpec) -> tuple[np.ndarray, str]:
    """x on the scale on which it is painted, and a note where that is not its own."""
    note = scale_of(spec)
    return ((x + REAL_RANGE) / (2 * REAL_RANGE) if note else x), note


# ----------------------------------------------------------------------------------------------- images


def _draw_images(
    pixels: np.ndarray, known: np.ndarray | None, animated: bool, about: About | None
) -> Drawn:
    """pixels: (rows, columns, C, H, W); known: (rows, columns, H, W)."""
    if pixels.ndim != 5 or not pixels.size:
        raise ValueError(f"images are (rows, columns, C, H, W), not {pixels.shape}")
    painted = paint(pixels)
    if known is not None:
        places = (*pixels.shape[:2], *pixels.shape[3:])
        if known.shape != places or known.dtype != bool:
            raise ValueError(f"what is known is {places} bool, not {known.shape} {known.dtype}")
        painted = replace(painted, colours=tinted(painted.colours, known))
    factor = magnification(*pixels.shape[-2:])
    if not animated:
        blue = "" if known is None else "Blue: observed."
        return _drawn(_grid(painted.colours, factor), about, blue, painted.note)
    chosen = _spread(pixels.shape[1], STRIP)
    still = _grid(painted.colours[:, chosen], factor)
    frames = _image_frames(painted.colours, factor)
    return _animated(still, frames, about, painted.note, _strip_note(chosen, pixels.shape[1]))


def _grid(colours: np.ndarray, factor: int) -> np.ndarray:
    """(rows, columns, H, W, 3) → one picture."""
    return tile(magnify(colours, factor).reshape(-1, *_size(colours, factor)), colours.shape[1])


def _size(colours: np.ndarray, factor: int) -> tuple[int, int, int]:
    return factor * colours.shape[-3], factor * colours.shape[-2], 3


def _image_frames(colours: np.ndarray, factor: int) -> list[np.ndarray]:
    """(rows, T, H, W, 3) → T pictures, in each of them the rows laid out as a near-square grid."""
    columns = columns_for(len(colours))
    if columns * factor * colours.shape[-2] < SMALL:
        factor *= 2
    return [tile(magnify(colours[:, t], factor), columns) for t in range(colours.shape[1])]


def _spread(n: int, most: int) -> list[int]:
    """At most ``most`` of 0 … n-1, evenly, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})


def _strip_note(chosen: list[int], n: int) -> str:
    return "" if len(chosen) == n else f"The still picture shows {len(chosen)} of {n} frames."


# ------------------------------------------------------------------------------------- planes and tables


def _draw_plane(plane: Plane, animated: bool, about: About | None) -> Drawn:
    points = _array(plane.points)
    if points.ndim != 3 or points.shape[-1] != 2 or not points.size:
        raise ValueError(f"points are (frames, n, 2), not {points.shape}")
    window = window_of(points.reshape(-1, 2))
    panels = [
        panel(points[t], window, _frame(plane.origins, t), _frame(plane.arrows, t))
        for t in range(len(points))
    ]
    note = _lost(points.reshape(-1, 2), window)
    chosen = _spread(len(panels), PANELS)
    still = beside([panels[t] for t in chosen])
    strip = _strip_note(chosen, len(panels))
    if not animated:
        return _drawn(still, about, note, strip)
    return _animated(still, panels, about, note, strip)


def _frame(values: Tensor | None, t: int) -> np.ndarray | None:
    return None if values is None else _array(values[t])


def _lost(points: np.ndarray, window: Window) -> str:
    """A note on the points (n, 2) that are not in the window."""
    lost = len(points) - int(window.inside(points).sum())
    return f"{lost} of {len(points)} points lie outside the frame." if lost else ""


def _draw_surface(surface: Surface, about: About | None) -> Drawn:
    values, points = _array(surface.values), _array(surface.points)
    if values.ndim != 2 or not values.size or points.ndim != 2 or points.shape[-1] != 2:
        shapes = f"{values.shape} and {points.shape}"
        raise ValueError(f"a surface has values (rows, columns) and points (n, 2), not {shapes}")
    window = Window((0.0, 0.0), surface.half)
    whole = beside([surface_panel(values, window), panel(points, window)])
    high = f"Yellow is {np.nanmax(values):.3g}, dark blue is 0."
    return _drawn(whole, about, high, _lost(points, window))


def _draw_rows(x: np.ndarray, spec: DataSpec, about: About | None) -> Drawn:
    """x: (n, D): a row for each datum, a column for each variable."""
    scaled, note = _unit_interval(x, spec)
    painted = paint(scaled[None])
    factor = max(1, min(10, 480 // max(x.shape)))
    picture = tile(magnify(painted.colours, factor)[None], 1)
    legend = "One row per datum, one column per variable."
    return _drawn(picture, about, legend, note or "1 is white, 0 is black.", painted.note)
