"""Figures: pictures as numbers, which the gallery can draw without asking."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from genlab.contracts import Figure, HasFigures, Images, Matrix, Plane
from genlab.testing.check import check, expect
from genlab.testing.subject import Subject

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@check(
    "figures must be what their class says: Images of shape (rows, columns, 1 or 3, H, W) in [0, 1], a"
    " Plane of points (frames, n, 2), a Matrix of values (rows, columns), all of it finite",
    needs=HasFigures,
)
def figures_are_what_they_say(s: Subject) -> None:
    for n in (1, 8):
        for figure in s.model.figures(s.data(n), generator=s.generator("figures")):
            expect(isinstance(figure, Figure), f"a {type(figure).__name__} is no Figure")
            fault = _fault(figure.content)
            expect(not fault, f"{figure.name} of {n} data: {fault}")


@check(
    "a figure's name becomes a file name (letters, digits, - and _, each name once) and its caption is a"
    " sentence for a stranger",
    needs=HasFigures,
)
def figures_have_names_and_captions(s: Subject) -> None:
    names: set[str] = set()
    for figure in s.model.figures(s.data(8), generator=s.generator("figures")):
        expect(bool(FILE_NAME.fullmatch(figure.name)), f"{figure.name!r} is no file name")
        expect(figure.name.lower() not in names, f"{figure.name!r} is there twice")
        expect(bool(figure.caption.strip()), f"{figure.name!r} has no caption")
        names.add(figure.name.lower())


def _fault(content: object) -> str:
    """What is wrong with a figure's content; nothing if it is right."""
    if isinstance(content, Images):
        return _fault_of_images(content.pixels)
    if isinstance(content, Plane):
        return _fault_of_plane(content)
    if isinstance(content, Matrix):
        return _fault_of(content.values, 2)
    return f"content is a {type(content).__name__}"


def _fault_of(values: Tensor, dimensions: int) -> str:
    if values.ndim != dimensions or 0 in values.shape:
        return f"shape {tuple(values.shape)}"
    return "" if torch.isfinite(values).all() else "not finite"


def _fault_of_images(pixels: Tensor) -> str:
    fault = _fault_of(pixels, 5)
    if not fault and pixels.shape[2] not in (1, 3):
        fault = f"{pixels.shape[2]} channels"
    if not fault and (pixels.min() < 0 or pixels.max() > 1):
        fault = f"pixels in [{float(pixels.min()):.3g}, {float(pixels.max()):.3g}]"
    return fault


def _fault_of_plane(plane: Plane) -> str:
    if (plane.origins is None) != (plane.arrows is None):
        return "origins and arrows come together"
    parts = [plane.points, *(p for p in (plane.origins, plane.arrows) if p is not None)]
    faults = [
        _fault_of(part, 3) or ("" if part.shape[2] == 2 else "not in a plane") for part in parts
    ]
    if any(part.shape[0] != plane.points.shape[0] for part in parts):
        faults.append("parts differ in their frames")
    if (
        plane.arrows is not None
        and plane.origins is not None
        and plane.arrows.shape != plane.origins.shape
    ):
        faults.append("as many origins as arrows are needed")
    return ", ".join(filter(None, faults))
