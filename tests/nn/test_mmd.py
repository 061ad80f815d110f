"""MMD against double loops, closed forms, scipy and automatic differentiation."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance
from torch import Tensor

from genlab.contracts import UsageError
from genlab.data import mnist
from genlab.nn import mmd
from genlab.nn.mmd import (
    MMD,
    EnergyDistance,
    GaussianKernel,
    Kernel,
    RationalQuadratic,
    median_squared_distance,
    mmd2,
    mmd2_of_each,
)
from genlab.randomness import generator

KERNELS = {
    "gaussian": GaussianKernel((0.5, 2.0)),
    "rational quadratic": RationalQuadratic(),
    "energy distance": EnergyDistance(),
}
FORMULAS = {  # of two vectors, as the literature has them
    "gaussian": lambda x, y: sum(np.exp(-((x - y) ** 2).sum() / (2 * v)) for v in (0.5, 2.0)),
    "rational quadratic": lambda x, y: sum(
        (1 + ((x - y) ** 2).sum() / (2 * a)) ** -a for a in (0.2, 0.5, 1.0, 2.0, 5.0)
    ),
    "energy distance": lambda x, y: -np.linalg.norm(x - y),
}
BOTH = pytest.mark.parametrize("unbiased", [False, True], ids=["biased", "unbiased"])
EVERY = pytest.mark.parametrize("name", KERNELS)


def normal(name: str, *shape: int, mean: float = 0.0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=generator(name), dtype=dtype) + mean


def double_loop(x: np.ndarray, y: np.ndarray, k, unbiased: bool) -> float:
    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b))]
        left = [(i, j) for i, j in pairs if not (same and unbiased and i == j)]
        return sum(k(a[i], b[j]) for i, j in left) / len(left)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def plain(x: Tensor, y: Tensor, kernel: Kernel, unbiased: bool) -> Tensor:
    """The formula, for automatic differentiation: no closed form, no tiles, no expanded squares."""

    def k(a: Tensor, b: Tensor) -> Tensor:
        s = (a[:, None] - b).square().sum(2)
        if isinstance(kernel, GaussianKernel):
            return sum((-s / (2 * v)).exp() for v in kernel.variances)  # type: ignore[return-value]
        if isinstance(kernel, RationalQuadratic):
            return sum((1 + s / (2 * a)) ** -a for a in kernel.alphas)  # type: ignore[return-value]
        return -torch.where(s > 0, s, 1.0).sqrt() * (s > 0)

    def within(a: Tensor) -> Tensor:
        both, n = k(a, a), len(a)
        return (both.sum() - both.trace()) / (n * (n - 1)) if unbiased else both.mean()

    return within(x) + within(y) - 2 * k(x, y).mean()


@pytest.fixture(params=[(256, 512), (5, 7)], ids=["one tile", "many tiles"])
def _tiles(request, monkeypatch):
    monkeypatch.setattr(mmd, "TILES", {"cpu": request.param})


# ------------------------------------------------------------------------------------------- values


@EVERY
@BOTH
@pytest.mark.usefixtures("_tiles")
def test_matches_a_double_loop(name, unbiased):
    x, y = normal("x", 23, 4), normal("y", 17, 4, mean=0.5)
    expected = double_loop(x.numpy(), y.numpy(), FORMULAS[name], unbiased)
    assert mmd2(x, y, KERNELS[name], unbiased=unbiased).item() == pytest.approx(expected, abs=1e-9)
    single = mmd2(x.float(), y.float(), KERNELS[name], unbiased=unbiased)
    assert single.dtype is torch.float32
    assert single.item() == pytest.approx(expected, abs=1e-6)


@EVERY
@pytest.mark.usefixtures("_tiles")
def test_the_values_of_each_datum_have_the_unbiased_statistic_as_mean(name):
    x, y = normal("x", 23, 4), normal("y", 17, 4, mean=0.5)
    each = mmd2_of_each(x, y, KERNELS[name])
    assert each.shape == (17,)
    whole = mmd2(x, y, KERNELS[name], unbiased=True)
    assert each.mean().item() == pytest.approx(whole.item(), abs=1e-12)


@EVERY
def test_unbiased_has_mean_zero_and_biased_is_never_negative_for_equal_distributions(name):
    """Over random exchanges of the rows of two sets, which make them equally distributed."""
    both, stream = normal("both", 60, 3), generator("exchanges")
    unbiased, biased = [], []
    for _ in range(400):
        x, y = both[torch.randperm(60, generator=stream)].split([25, 35])
        unbiased.append(mmd2(x, y, KERNELS[name], unbiased=True).item())
        biased.append(mmd2(x, y, KERNELS[name]).item())
    assert abs(np.mean(unbiased)) < 4 * np.std(unbiased) / math.sqrt(400)
    assert min(unbiased) < 0 < min(biased)


def test_the_biased_statistic_has_the_expectation_that_its_docstring_says():
    """(1/m + 1/n)(E k(x, x) − E k(x, x')) for equal distributions."""
    kernel = GaussianKernel((1.0,))
    inside = (1 / (1 + 2 * 1)) ** (3 / 2)  # E k(x, x') of standard normal x in three dimensions
    drawn = [
        mmd2(normal(f"x{i}", 20, 3), normal(f"y{i}", 30, 3), kernel).item() for i in range(400)
    ]
    expected = (1 / 20 + 1 / 30) * (1 - inside)
    assert np.mean(drawn) == pytest.approx(expected, abs=4 * np.std(drawn) / math.sqrt(400))


def test_two_gaussians_have_the_distance_of_the_closed_form():
    """E exp(−‖x − y‖²/2v) = (v/(v + p + q))^(d/2) exp(−‖a − b‖²/2(v + p + q)), x ~ N(a, p), y ~ N(b, q)."""
    p, q, shift, d, variances = 0.5, 1.5, 0.4, 3, (0.5, 2.0)

    def mean(spread: float, away: float) -> float:
        return sum(
            (v / (v + spread)) ** (d / 2) * math.exp(-d * away**2 / (2 * (v + spread)))
            for v in variances
        )

    expected = mean(2 * p, 0) + mean(2 * q, 0) - 2 * mean(p + q, shift)
    kernel, found = GaussianKernel(variances), []
    for i in range(40):
        x = math.sqrt(p) * normal(f"x{i}", 500, d)
        y = math.sqrt(q) * normal(f"y{i}", 500, d) + shift
        found.append(mmd2(x, y, kernel, unbiased=True).item())
    error = np.std(found) / math.sqrt(40)
    assert error < 0.02 * expected
    assert np.mean(found) == pytest.approx(expected, abs=4 * error)


def test_the_energy_kernel_gives_scipys_energy_distance():
    x, y = normal("x", 40, 1), normal("y", 30, 1, mean=1.0)
    expected = energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert mmd2(x, y, EnergyDistance()).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.skipif(
    not os.environ.get("GENLAB_DATA"),
    reason="GENLAB_DATA is unset: it names the folder of data files",
)
def test_mnist_against_mnist():
    """Six kernels with the variances 2 … 80 of the paper."""
    data = mnist().dataset("train")
    x = data[torch.randperm(len(data), generator=generator("rows"))[:4000]].x.flatten(1)
    kernel = GaussianKernel()
    thousand = [mmd2(x[i : i + 1000], x[i + 1000 : i + 2000], kernel) for i in (0, 2000)]
    hundred = [
        mmd2(x[i : i + 100], x[i + 100 : i + 200], kernel).item() for i in range(0, 4000, 200)
    ]
    assert np.mean([float(v) for v in thousand]) == pytest.approx(0.0104, abs=0.0009)
    assert np.mean(hundred) == pytest.approx(0.102, abs=0.009)
    assert median_squared_distance(x) == pytest.approx(105, abs=5)


# ---------------------------------------------------------------------------------------- gradients


@EVERY
@BOTH
@pytest.mark.usefixtures("_tiles")
def test_the_gradient_is_that_of_the_plain_formula(name, unbiased):
    x, y = normal("x", 23, 4).requires_grad_(), normal("y", 17, 4, mean=0.5).requires_grad_()
    found = torch.autograd.grad(3 * mmd2(x, y, KERNELS[name], unbiased=unbiased), (x, y))
    expected = torch.autograd.grad(3 * plain(x, y, KERNELS[name], unbiased), (x, y))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-8)


@EVERY
def test_data_need_no_gradient(name):
    x, y = normal("x", 23, 4).requires_grad_(), normal("y", 17, 4)
    (found,) = torch.autograd.grad(mmd2(x, y, KERNELS[name]), x)
    (expected,) = torch.autograd.grad(plain(x, y, KERNELS[name], False), x)
    torch.testing.assert_close(found, expected)


@EVERY
def test_the_root_has_a_finite_slope_where_the_sets_are_equal(name):
    """Of equal rows MMD² is zero to the last bit, of others up to rounding."""
    for rows in (torch.zeros(10, 3), normal("x", 10, 3, dtype=torch.float32)):
        for unbiased in (False, True):
            x = rows.clone().requires_grad_()
            loss = MMD(KERNELS[name], unbiased)(x, rows)
            (slope,) = torch.autograd.grad(loss, x)
            assert loss.isfinite()
            assert slope.isfinite().all()
    assert mmd2(torch.zeros(10, 3), torch.zeros(10, 3), KERNELS[name]).item() == 0.0


def test_the_root_is_that_of_the_statistic_and_can_be_left_out():
    x, y, kernel = normal("x", 30, 3), normal("y", 30, 3, mean=1.0), GaussianKernel((1.0,))
    squared = mmd2(x, y, kernel).item()
    assert MMD(kernel)(x, y).item() == pytest.approx(math.sqrt(squared), rel=1e-6)
    assert MMD(kernel, root=False)(x, y).item() == squared


# ---------------------------------------------------------------------------------- widths, precision


def test_the_median_is_over_pairs_that_differ():
    x = torch.tensor([[0.0], [0.0], [0.0], [0.0], [3.0]])
    assert median_squared_distance(x) == pytest.approx(9.0)
    assert median_squared_distance(torch.zeros(5, 2)) == 1.0
    bits = torch.tensor([[1.0, 0, 0]] * 800 + [[0.0, 1, 0]] * 100 + [[0.0, 1, 1]] * 100)
    assert median_squared_distance(bits) == pytest.approx(2.0)  # most pairs are equal
    grid = normal("grid", 2500, 2)
    few = grid[::3]
    s = (few[:, None] - few).square().sum(2)
    assert median_squared_distance(grid) == pytest.approx(s[s > 0].median().item(), rel=1e-5)


@pytest.mark.parametrize("kind", [GaussianKernel, RationalQuadratic])
def test_relative_widths_are_in_median_distances(kind):
    """Data ten times as large, with the unit that follows from them, have the same distances."""
    x, y = normal("x", 40, 3), normal("y", 40, 3, mean=1.0)
    kernel, larger = kind(relative=True), kind(relative=True)
    kernel.begin(y)
    larger.begin(10 * y)
    assert larger.unit.item() == pytest.approx(100 * kernel.unit.item(), rel=1e-4)
    a, b = mmd2(x, y, kernel).item(), mmd2(10 * x, 10 * y, larger).item()
    assert a == pytest.approx(b, rel=1e-3)
    assert a != pytest.approx(mmd2(x, y, kind()).item(), rel=1e-2)
    absolute = kind()
    absolute.begin(y)
    assert absolute.unit.item() == 1.0
    assert "unit" in kernel.state_dict()


def test_distances_are_float32_under_autocast():
    x, y = normal("x", 50, 64, mean=3.0).float(), normal("y", 50, 64, mean=3.0).float()
    exact = mmd2(x, y, GaussianKernel((1.0,)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = mmd2(x, y, GaussianKernel((1.0,)))
    assert torch.equal(exact, inside)
    half = x.bfloat16().requires_grad_()
    value = mmd2(half, y, GaussianKernel((1.0,)))
    (slope,) = torch.autograd.grad(value, half)
    assert (value.dtype, slope.dtype) == (torch.float32, torch.bfloat16)


def test_types_may_differ():
    x, y = normal("x", 9, 3).requires_grad_(), normal("y", 9, 3).float()
    value = mmd2(x, y, GaussianKernel((1.0,)))
    (slope,) = torch.autograd.grad(value, x)
    assert (value.dtype, slope.dtype) == (torch.float64, torch.float64)


def test_narrow_kernels_of_far_rows_are_nothing_and_no_nan():
    x, y = torch.zeros(3, 2, requires_grad=True), torch.full((3, 2), 1e4)
    value = mmd2(x, y, GaussianKernel((1.0,)))
    (slope,) = torch.autograd.grad(value, x)
    assert value.item() == pytest.approx(2.0, abs=1e-6)
    assert slope.isfinite().all()


# --------------------------------------------------------------------------------------- bad input


def test_refuses_what_has_no_unbiased_statistic():
    one, two, kernel = torch.zeros(1, 3), torch.zeros(2, 3), GaussianKernel()
    for x, y in ((one, two), (two, one)):
        with pytest.raises(UsageError, match=r"at least 2 samples and 2 data.*data\.batch_size"):
            mmd2(x, y, kernel, unbiased=True)
        with pytest.raises(UsageError, match="at least 2"):
            mmd2_of_each(x, y, kernel)
        assert mmd2(x, y, kernel).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("values", [(), (0.0,), (1.0, -2.0), (math.inf,), (math.nan,)])
def test_refuses_widths_that_are_not_positive(values):
    with pytest.raises(UsageError, match=r"^variances="):
        GaussianKernel(values)
    with pytest.raises(UsageError, match=r"^alphas="):
        RationalQuadratic(values)
