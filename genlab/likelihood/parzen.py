"""The historical Parzen window: a Gaussian kernel density of samples on greys in [0, 1].

p(x) = 1/n Σ_i N(x; s_i, σ² I), a density, of grey levels as if they were real numbers. Papers from 2009
to 2016 reported it for models with nothing but samples. It says next to nothing about log p(x): it has
not converged in n for images, k-means centroids score above real images, and a Gaussian with an exact
665 nats on MNIST gets -76. So it never stands alone: the same number of training images, and of
k-means centroids of the training data, is computed in the same way.

I. Goodfellow et al.: Generative adversarial nets. NIPS 2014, https://arxiv.org/abs/1406.2661
L. Theis, A. van den Oord, M. Bethge: A note on the evaluation of generative models. ICLR 2016,
https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    DataModule,
    GenerativeModel,
    Guarantee,
    Likelihood,
    LogLikelihood,
    Measure,
)
from genlab.likelihood.bandwidth import checked_widths, choose_width, validation_rows
from genlab.likelihood.kernels import Gaussian
from genlab.likelihood.kmeans import kmeans
from genlab.likelihood.needs import require
from genlab.likelihood.window import drawn, refuse_label
from genlab.memory import held
from genlab.ranges import at_least

WIDTHS = tuple(i / 100 for i in range(5, 41))  # papers: 0.10 … 0.29
ITERATIONS = 10  # of k-means
SHARE = 5  # training data for each centroid, unless the settings say otherwise

POINTS = ("samples", "training images", "k-means centroids")  # what windows are put around


class ParzenDensity(Likelihood):
    """A Gaussian window around n samples, beside the same around training images and their centroids.

    widths: the grid of σ, of greys in [0, 1]; rows: at most how many validation data choose from it, for
    each of the three. centroids: how many the last reference has; by default n, and at most one for five
    training data. Its cost is 10 iterations of k-means, each of as many distances as there are
    training data times centroids.
    """

    name = "parzen_density"
    width: Tensor  # (3,) of POINTS

    def __init__(
        self,
        model: GenerativeModel,
        n: int = 10_000,
        widths: tuple[float, ...] = WIDTHS,
        rows: int = 10_000,
        centroids: int | None = None,
    ) -> None:
        require(self.name, model)
        super().__init__(model)
        self.widths = checked_widths(widths, model.spec.support)
        at_least(1, n=n, rows=rows, centroids=centroids)
        self.n, self.rows = n, rows
        self.centroids = centroids
        self._made: tuple[Tensor, list[Gaussian]] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        own = {"n": self.n, "widths": list(self.widths), "rows": self.rows}
        return own | {"centroids": self.centroids}

    def prepare(self, data: DataModule, *, generator: Generator) -> None:
        x = validation_rows(data, self.rows, self.name).to(generator.device).flatten(1)
        samples = drawn(self.model, self.n, generator).flatten(1)
        images, centroids = self._references(data, generator)
        for i, points in enumerate((samples, images, centroids)):
            self.register_buffer(f"points_{i}", points)
        pairs = zip(self._kernels, POINTS, strict=True)
        widths = [choose_width(kernel, x, self.widths, of) for kernel, of in pairs]
        self.register_buffer("width", torch.tensor(widths, dtype=torch.float64))

    def _references(self, data: DataModule, generator: Generator) -> tuple[Tensor, Tensor]:
        """(at most n, D) training images, and (k, D) centroids of all that are held together."""
        train = data.dataset("train")
        x = train[held(len(train), data.spec.size)].x.flatten(1).to(generator.device)
        order = torch.randperm(len(x), generator=generator, device=generator.device)
        k = self.centroids or max(1, min(self.n, len(x) // SHARE))
        found = kmeans(x, min(k, len(x)), iterations=ITERATIONS, generator=generator)
        return x[order[: self.n]], found

    @property
    def _kernels(self) -> list[Gaussian]:
        """Around the points of the buffers, which another process may have found; made once."""
        points = [self.get_buffer(f"points_{i}") for i in range(len(POINTS))]
        if self._made is None or self._made[0] is not points[0]:
            self._made = points[0], [Gaussian(p) for p in points]
        return self._made[1]

    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """Raises UsageError for labels: the samples are of the marginal distribution."""
        refuse_label(self.name, label)
        widths = self.width.tolist()
        kernels = self._kernels
        pairs = zip(kernels, widths, strict=True)
        nats = [kernel.log_mixture(x.flatten(1), [width])[0] for kernel, width in pairs]
        diagnostics: dict[str, Any] = {"n": self.n, "width": widths[0], "grid": list(self.widths)}
        for i in (1, 2):
            diagnostics |= {
                f"reference: {POINTS[i]}": nats[i],
                f"n, {POINTS[i]}": len(kernels[i].samples),
                f"width, {POINTS[i]}": widths[i],
            }
        return LogLikelihood(
            nats[0],
            Guarantee.ESTIMATE,
            Measure.DENSITY,
            method=f"Gaussian Parzen window of n={self.n} samples, σ={widths[0]:g}",
            diagnostics=diagnostics,
        )
