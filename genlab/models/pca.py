"""Principal component analysis: the best linear code of K numbers, in closed form.

  z = W (x − m),   x̂ = m + Wᵀ z

m: (D,) is the mean of the training data, the rows of W: (K, D) are the orthonormal eigenvectors of their
covariance with the K largest eigenvalues λ_1 ≥ … ≥ λ_K. Of all linear maps to K numbers and back none has a
smaller mean squared error E ‖x − x̂‖² on the training data: the sum of the other eigenvalues.

K. Pearson, On lines and planes of closest fit to systems of points in space, 1901,
https://doi.org/10.1080/14786440109462720.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    HasEncoder,
    HasFigures,
    Images,
    Matrix,
    Model,
    Plane,
    Stage,
    Support,
    UnsupportedData,
    UsageError,
)

MOST = 8192  # numbers in a datum: the covariance of more would not fit


class PCA(Model, HasEncoder, HasFigures):
    """Principal component analysis: the linear auto-encoder that others are measured against.

    components: K, at most D. Raises UsageError outside 1 … D, UnsupportedData for D > 8192.
    """

    supports = frozenset({Support.LEVELS, Support.REAL})

    def __init__(self, spec: DataSpec, components: int = 30) -> None:
        super().__init__(spec)
        if spec.size > MOST:
            raise UnsupportedData(f"PCA takes data of at most {MOST} numbers, not {spec.size}")
        if not 1 <= components <= spec.size:
            raise UsageError(
                f"model.components={components}: {spec.name} has {spec.size} numbers in a datum, so "
                f"there are 1 to {spec.size} components"
            )
        self.mean = nn.Parameter(torch.zeros(spec.size))
        self.components = nn.Parameter(torch.zeros(components, spec.size))
        self.share: Tensor
        self.register_buffer("share", torch.zeros(()))  # of the variance, in the components

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, solve=self.solve),)

    def solve(self, batches: Iterable[Batch]) -> None:
        mean, covariance = _moments(batches)
        variances, vectors = torch.linalg.eigh(covariance)  # in ascending order
        k = len(self.components)
        self.mean.copy_(mean)
        self.components.copy_(_upright(vectors[:, -k:].flip(1).T))
        self.share.copy_(variances[-k:].sum() / variances.sum())

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error, summed over a datum."""
        return self._errors(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"reconstruction": self._errors(batch.x)}

    def _errors(self, x: Tensor) -> Tensor:
        return (x - self.decode(self.encode(x))).square().flatten(1).sum(1)

    def encode(self, x: Tensor) -> Tensor:
        """z: (B, K)"""
        return (x.flatten(1) - self.mean) @ self.components.T

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape), which may overshoot [0, 1] on LEVELS."""
        return (self.mean + z @ self.components).unflatten(1, self.spec.shape)

    @torch.no_grad()
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        """Components and reconstructions: as images, or in the plane; else the components as a matrix."""
        spec = self.spec
        if spec.is_picture:
            yield self._shown_components()
            yield self._shown_reconstructions(batch.x[:12])
        elif spec.shape == (2,):
            yield self._projections(batch.x)
        else:
            caption = "Each row is a component, the one with the most variance first."
            yield Figure("components", caption, Matrix(self.components))

    def _shown_components(self) -> Figure:
        most = len(self.components)
        rows, columns = next(
            (r, c) for r, c in ((4, 4), (2, 4), (1, min(3, most) + 1)) if r * c <= most + 1
        )
        shown = self.components[: rows * columns - 1]
        shown = 0.5 + shown / (2 * shown.abs().amax(1, keepdim=True))
        pixels = torch.cat([self.mean[None], shown]).clamp(0, 1).unflatten(1, self.spec.shape)
        caption = (
            f"The mean of the training data, then the first {len(shown)} of {most} components, each on a "
            f"scale of its own; grey is zero. All {most} together hold {100 * float(self.share):.1f} % of "
            "the variance."
        )
        return Figure("components", caption, Images(pixels.unflatten(0, (rows, columns))))

    def _shown_reconstructions(self, x: Tensor) -> Figure:
        pixels = torch.stack([x, self.decode(self.encode(x)).clamp(0, 1)])
        caption = (
            f"Test data, and below each what comes back from its {len(self.components)} numbers."
        )
        return Figure("reconstructions", caption, Images(pixels))

    def _projections(self, x: Tensor) -> Figure:
        back = self.decode(self.encode(x))
        caption = "What comes back of test data, and from each datum an arrow towards it."
        return Figure("reconstructions", caption, Plane(back[None], x[None], (back - x)[None]))


def _moments(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) in float64, from two passes: one would cancel digits."""
    n, total = 0, torch.zeros((), dtype=torch.float64)
    for batch in batches:
        n, total = n + len(batch.x), total.to(batch.x.device) + batch.x.flatten(1).double().sum(0)
    mean, squares = total / n, torch.zeros((), dtype=torch.float64, device=total.device)
    for batch in batches:
        centred = batch.x.flatten(1).double() - mean
        squares = squares + centred.T @ centred
    return mean, squares / n


def _upright(rows: Tensor) -> Tensor:
    """Each row with the sign that makes its largest entry positive: eigenvectors have none of their own."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * largest.sign()
