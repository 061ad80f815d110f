"""Maximum mean discrepancy (MMD): how far two sets of vectors are apart, for a kernel k.

  MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y)

is zero for equal distributions and, with these kernels, only then. With m samples x and n data y,

  biased (V)     1/m² Σ_ij k(x_i, x_j) + 1/n² Σ_ij k(y_i, y_j) − 2/mn Σ_ij k(x_i, y_j), never below zero
  unbiased (U)   the same without i = j: 1/m(m−1) and 1/n(n−1); it has the right expectation

The biased one of equal distributions has the expectation (1/m + 1/n)(E k(x, x) − E k(x, x')), so values at
different batch sizes cannot be compared.

A kernel is a function f of s = ‖x − y‖². Its sums and their gradient Σ_j 2 f'(s_ij)(x_i − y_j) are found
together, a tile of pairs at a time, which stays in the processor's cache; nothing of the size of all
pairs is kept. Distances are float32 at least, whatever the trainer's precision.

A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola: A kernel two-sample test. JMLR 13, 2012,
https://jmlr.org/papers/v13/gretton12a.html
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from genlab.contracts import UsageError
from genlab.nn.precision import full_precision
from genlab.together import processes

TILES = {"cpu": (256, 512)}  # rows and columns of pairs at a time: half a MiB
TILE = (4096, 8192)  # elsewhere
MEDIAN_ROWS = 1000  # from whose pairs a median distance is taken
EQUAL = 1e-9  # rows nearer than this, beside the farthest, differ by rounding alone
LEAST = -80.0  # exp is slow where float32 underflows
ROOT_AT_ZERO = 1e-4  # √(MMD² + this²): its slope at zero is finite


class Kernel(nn.Module, ABC):
    """k(x, y) = f(‖x − y‖² / unit).

    relative: the unit is the median squared distance between two data, found by ``begin``; otherwise 1.
    at_zero: f(0).
    """

    at_zero: float
    unit: Tensor  # ()

    def __init__(self, relative: bool = False) -> None:
        super().__init__()
        self.relative = relative
        self.register_buffer("unit", torch.ones(()))

    def begin(self, x: Tensor) -> None:
        """Take the unit from data x: (N, d)."""
        if self.relative:
            self.unit.fill_(median_squared_distance(x))

    @abstractmethod
    def value_and_slope(self, s: Tensor, unit: float, slope: bool) -> tuple[Tensor, Tensor | None]:
        """f and f' = df/ds at squared distances s, of their shape; without f' unless ``slope``."""


class GaussianKernel(Kernel):
    """Σ_v exp(−s / 2v) over ``variances`` v, which are variances, not standard deviations."""

    def __init__(
        self,
        variances: tuple[float, ...] = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0),
        relative: bool = False,
    ) -> None:
        super().__init__(relative)
        self.variances = _positive("variances", variances)
        self.at_zero = float(len(variances))

    def value_and_slope(self, s: Tensor, unit: float, slope: bool) -> tuple[Tensor, Tensor | None]:
        value, part = torch.zeros_like(s), torch.empty_like(s)
        change = torch.zeros_like(s) if slope else None
        for variance in self.variances:
            rate = -0.5 / (variance * unit)
            torch.mul(s, rate, out=part).clamp_(min=LEAST).exp_()
            value.add_(part)
            if change is not None:
                change.add_(part, alpha=rate)
        return value, change


class RationalQuadratic(Kernel):
    """Σ_α (1 + s / 2α)^−α over ``alphas``: a mixture of Gaussians of all widths, with heavy tails.

    M. Bińkowski, D. Sutherland, M. Arbel, A. Gretton: Demystifying MMD GANs. ICLR 2018, arXiv:1801.01401.
    """

    def __init__(
        self, alphas: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0), relative: bool = False
    ) -> None:
        super().__init__(relative)
        self.alphas = _positive("alphas", alphas)
        self.at_zero = float(len(alphas))

    def value_and_slope(self, s: Tensor, unit: float, slope: bool) -> tuple[Tensor, Tensor | None]:
        value, change = torch.zeros_like(s), torch.zeros_like(s) if slope else None
        for alpha in self.alphas:
            base = s / (2 * alpha * unit) + 1
            part = base.pow(-alpha)
            value.add_(part)
            if change is not None:
                change.sub_(part.div_(base), alpha=0.5 / unit)
        return value, change


class EnergyDistance(Kernel):
    """−‖x − y‖, of which MMD² is the energy distance 2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖. It has no width.

    G. Székely, M. Rizzo: Energy statistics. Journal of Statistical Planning and Inference 143, 2013.
    """

    at_zero = 0.0

    def __init__(self) -> None:
        super().__init__()

    def value_and_slope(self, s: Tensor, unit: float, slope: bool) -> tuple[Tensor, Tensor | None]:
        value = s.sqrt().neg_()
        change = torch.where(s > 0, 0.5 / value, 0.0) if slope else None
        return value, change


def _positive(name: str, values: tuple[float, ...]) -> tuple[float, ...]:
    if not values or not all(0 < value < math.inf for value in values):
        raise UsageError(f"{name}={list(values)} must be one or more numbers above 0")
    return tuple(values)


@torch.no_grad()
def median_squared_distance(x: Tensor) -> float:
    """Of the pairs that differ among at most 1,000 rows of x: (N, d), spread evenly; 1 if none differ."""
    x, _ = _centred(x[:: -(-len(x) // MEDIAN_ROWS)].double(), x)
    squares = x.square().sum(1)
    s = _squared_distances(x, x, squares, squares, diagonal=0)
    differing = s[s > EQUAL * s.max()]
    return differing.median().item() if len(differing) else 1.0


# ------------------------------------------------------------------------------------------ statistics


def mmd2(
    x: Tensor, y: Tensor, kernel: Kernel, *, unbiased: bool = False, together: bool = False
) -> Tensor:
    """(), the squared MMD between x: (m, d) and y: (n, d); differentiable once, in both.

    together: of the rows of all processes. Each computes its share of the pairs and the gradient of its
    own rows, multiplied by the number of processes, as DDP will average over them; each must give the
    same number of rows.
    Raises UsageError for the unbiased statistic of fewer than two rows.
    """
    if unbiased:
        _require_pairs(x, y, together)
    return _MMD2.apply(x, y, kernel, unbiased, together)  # type: ignore[no-any-return]


def mmd2_of_each(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """(n,) float64, whose mean is the unbiased MMD² between samples x: (m, d) and data y: (n, d).

    Of a datum y_i: the mean of k(x, x') + the mean of k(y_i, y) over the others − 2 the mean of k(x, y_i).
    """
    _require_pairs(x, y, together=False)
    m, n, zero = len(x), len(y), kernel.at_zero
    with torch.no_grad(), full_precision(x.device):
        x, y = _centred(x, y)
        of_x = _row_sums(x, x, kernel, diagonal=0).sum() - m * zero
        of_y = _row_sums(y, y, kernel, diagonal=0) - zero
        between = _row_sums(y, x, kernel)
    return of_x / (m * (m - 1)) + of_y / (n - 1) - 2 * between / m


class MMD(nn.Module):
    """The loss √MMD² of samples and data, over all processes together; MMD² itself without ``root``.

    The root makes gradients of the last differences larger. It is √(max(MMD², 0) + 1e-8), whose slope is
    finite at zero; where the unbiased statistic falls below zero there is no gradient.
    """

    kernel: Kernel

    def __init__(self, kernel: Kernel, unbiased: bool = False, root: bool = True) -> None:
        super().__init__()
        self.kernel, self.unbiased, self.root = kernel, unbiased, root

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """() of samples x: (m, d) and data y: (n, d)."""
        squared = mmd2(x, y, self.kernel, unbiased=self.unbiased, together=True)
        return (squared.clamp(min=0) + ROOT_AT_ZERO**2).sqrt() if self.root else squared


class _MMD2(torch.autograd.Function):
    """The gradient is found with the value, in one pass over the pairs."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool, together: bool
    ) -> Tensor:
        world, rank = processes() if together else (1, 0)
        with full_precision(x.device):
            all_x, all_y = _centred(*(_gathered(v, world) for v in (x, y)))
            own_x, own_y = (v if world == 1 else v.chunk(world)[rank] for v in (all_x, all_y))
            m, n = len(all_x), len(all_y)
            pairs_x, pairs_y = (m * (m - 1), n * (n - 1)) if unbiased else (m * m, n * n)
            needed = zip(ctx.needs_input_grad, (own_x, own_y), strict=False)
            of_x, of_y = (torch.zeros_like(v) if need else None for need, v in needed)
            xx = _row_sums(own_x, all_x, kernel, rank * len(own_x), of_x, 2 / pairs_x)
            yy = _row_sums(own_y, all_y, kernel, rank * len(own_y), of_y, 2 / pairs_y)
            xy = _row_sums(own_x, all_y, kernel, None, of_x, -2 / (m * n))
            if of_y is not None:
                _row_sums(own_y, all_x, kernel, None, of_y, -2 / (m * n))
            sums = torch.stack([xx.sum(), yy.sum(), xy.sum()])
        if world > 1:
            distributed.all_reduce(sums)
        ctx.slopes = [
            None if g is None else g.mul_(world).to(v.dtype) for g, v in ((of_x, x), (of_y, y))
        ]
        equal = kernel.at_zero if unbiased else 0.0  # of a row and itself
        value = (sums[0] - m * equal) / pairs_x + (sums[1] - n * equal) / pairs_y
        return (value - 2 * sums[2] / (m * n)).to(own_x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        slopes = (None if g is None else upstream.to(g.dtype) * g for g in ctx.slopes)
        return (*slopes, None, None, None)


def _row_sums(
    rows: Tensor,
    columns: Tensor,
    kernel: Kernel,
    diagonal: int | None = None,
    gradient: Tensor | None = None,
    weight: float = 0.0,
) -> Tensor:
    """(m,) float64 Σ_j k(rows_i, columns_j) of rows: (m, d) and columns: (n, d).

    diagonal: rows_i is the same vector as columns_(i + diagonal). gradient: (m, d), to which weight times
    the derivative of the sums with respect to rows is added. Where rows are columns, each pair is looked
    at once and counted for both.
    """
    height, width = TILES.get(rows.device.type, TILE)
    unit, symmetric = float(kernel.unit), rows is columns
    row_squares, column_squares = rows.square().sum(1), columns.square().sum(1)
    sums = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    for i in range(0, len(rows), height):
        at = slice(i, i + height)
        for j in range(i if symmetric else 0, len(columns), width):
            to = slice(j, j + width)
            shift = None if diagonal is None else i + diagonal - j
            s = _squared_distances(
                rows[at], columns[to], row_squares[at], column_squares[to], shift
            )
            value, slope = kernel.value_and_slope(s, unit, gradient is not None)
            sums[at] += value.sum(1)
            if gradient is not None and slope is not None:
                _add_gradient(gradient[at], slope, rows[at], columns[to], 2 * weight)
            if symmetric:
                new = len(value) if i == j else 0  # columns before are these rows themselves
                to = slice(j + new, j + width)
                sums[to] += value[:, new:].sum(0)
                if gradient is not None and slope is not None:
                    _add_gradient(gradient[to], slope[:, new:].T, rows[to], rows[at], 2 * weight)
    return sums


def _add_gradient(
    gradient: Tensor, slope: Tensor, rows: Tensor, columns: Tensor, weight: float
) -> None:
    """Add weight Σ_j f'(s_ij) (rows_i − columns_j)."""
    gradient.addcmul_(rows, slope.sum(1, keepdim=True), value=weight)
    gradient.addmm_(slope, columns, alpha=-weight)


def _squared_distances(
    x: Tensor, y: Tensor, x_squares: Tensor, y_squares: Tensor, diagonal: int | None
) -> Tensor:
    """(m, n) ‖x_i − y_j‖²; exactly zero at j = i + diagonal."""
    s = torch.addmm(y_squares, x, y.T, alpha=-2).add_(x_squares[:, None]).clamp_(min=0)
    if diagonal is not None and -len(x) < diagonal < len(y):
        s.diagonal(diagonal).zero_()
    return s


def _centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both without the mean of y, which rounds less, in one type: float32 at least."""
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    x, y = x.detach().to(dtype), y.detach().to(dtype)
    mean = y.mean(0)
    return x - mean, y - mean


def _gathered(x: Tensor, world: int) -> Tensor:
    """The rows of all processes, in their order."""
    if world == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(world)]
    distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def _require_pairs(x: Tensor, y: Tensor, together: bool) -> None:
    world = processes()[0] if together else 1
    if min(len(x), len(y)) * world < 2:
        raise UsageError(
            f"the unbiased MMD² needs at least 2 samples and 2 data, not {len(x) * world} and "
            f"{len(y) * world}: change data.batch_size"
        )
