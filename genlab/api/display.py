"""Samples and figures as a notebook shows them, drawn as on the pages of a gallery."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from typing import overload

from torch import Tensor

from genlab.contracts import DataSpec, Figure
from genlab.gallery.drawing import Drawn, draw, sample_grid


class Samples:
    """x: (n, *shape) draws of a model, and their picture."""

    def __init__(self, x: Tensor, spec: DataSpec) -> None:
        self.x, self.spec = x, spec

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"{len(self.x)} samples of {self.spec.name}: x is {tuple(self.x.shape)}"

    def _repr_png_(self) -> bytes:
        return sample_grid(self.x, self.spec).still


class DrawnFigure:
    """A figure of a model; the picture moves where the figure does."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def __repr__(self) -> str:
        return f"{self.figure.name}: {self.figure.caption}"

    def _repr_html_(self) -> str:
        try:
            drawn = draw(self.figure)
        except ValueError as error:
            return f"<p>{escape(self.figure.name)} could not be drawn: {escape(str(error))}</p>"
        caption = (
            f"<b>{escape(self.figure.name)}</b>: {escape(self.figure.caption)} {escape(drawn.note)}"
        )
        return f"<figure>{_image(drawn)}<figcaption>{caption}</figcaption></figure>"


class Figures(Sequence[DrawnFigure]):
    """All figures of a model."""

    def __init__(self, figures: Iterator[Figure]) -> None:
        self._drawn = [DrawnFigure(figure) for figure in figures]

    @overload
    def __getitem__(self, index: int) -> DrawnFigure: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DrawnFigure]: ...
    def __getitem__(self, index: int | slice) -> DrawnFigure | Sequence[DrawnFigure]:
        return self._drawn[index]

    def __len__(self) -> int:
        return len(self._drawn)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._drawn)) or "no figures"

    def _repr_html_(self) -> str:
        return "".join(drawn._repr_html_() for drawn in self._drawn) or "<p>no figures</p>"


def _image(drawn: Drawn) -> str:
    moving = [picture for picture in drawn.pictures if picture.role == "animation"]
    data = base64.b64encode(moving[0].data if moving else drawn.still).decode()
    return f'<img alt="" src="data:image/png;base64,{data}">'
