"""Kernels against sums over whole supports, closed forms and independent implementations."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import log_ndtr
from sklearn.neighbors import KernelDensity

from genlab.likelihood import kernels
from genlab.likelihood.kernels import (
    BitFlip,
    Gaussian,
    LevelCells,
    kernel_for,
    log_cells,
    log_sum,
    low_rank,
)
from tests.likelihood.memory import bits, greys, random, reals


def everything(levels: int, size: int) -> torch.Tensor:
    """(levels^size, size) the whole support."""
    grid = torch.tensor(list(product(range(levels), repeat=size)))
    return grid.float() / (levels - 1)


def test_bit_flip_sums_to_one():
    kernel = BitFlip(random(0, 20, bits(10)))
    total = kernel.log_mixture(everything(2, 10), [0.003, 0.1, 0.5]).exp().sum(1)
    assert total.tolist() == pytest.approx([1, 1, 1], abs=1e-12)


def test_bit_flip_counts_bits():
    nats = BitFlip(torch.zeros(1, 5)).log_mixture(torch.tensor([[1.0, 0, 1, 0, 0]]), [0.1])
    assert nats.item() == pytest.approx(2 * math.log(0.1) + 3 * math.log(0.9), abs=1e-12)


def test_more_samples_than_a_block_takes_at_a_time():
    """2,500 samples and 150 rows: three blocks of each, the last of them not full."""
    s, x = random(1, 2500, bits(12)), random(2, 150, bits(12))
    distance = (x[:, None] != s).sum(2).double()
    each = distance * math.log(0.2) + (12 - distance) * math.log(0.8)
    expected = each.exp().mean(1).log()
    torch.testing.assert_close(BitFlip(s).log_mixture(x, [0.2])[0], expected)


@pytest.mark.parametrize("levels", [2, 5, 17])
@pytest.mark.parametrize("width", [0.02, 0.3, 3.0])
def test_level_cells_sum_to_one(levels, width):
    """Around black, white and every other centre, for σ far below one level and above the whole range."""
    size = 1 if levels > 5 else 3
    support = everything(levels, size)
    for centre in support[:: max(1, len(support) // 17)]:
        total = LevelCells(centre[None], levels).log_mixture(support, [width]).exp().sum()
        assert total.item() == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("width", [1e-3, 0.3, 2.5, 40.0, 1e4])
def test_table_of_256_levels_sums_to_one_around_each(width):
    assert log_cells(256, width).logsumexp(0).abs().max() < 1e-12


@pytest.mark.parametrize("width", [0.05, 0.7, 9.0])
def test_far_levels_keep_their_digits(width):
    """Where a difference of distribution functions underflows: the smaller tail, computed by scipy."""
    table = log_cells(256, width)
    for k, j in ((200, 20), (20, 200), (100, 99), (128, 128)):
        near, far = ((side - abs(k - j)) / width for side in (0.5, -0.5))
        expected = log_ndtr(near) + np.log(-np.expm1(log_ndtr(far) - log_ndtr(near)))
        assert table[k, j].item() == pytest.approx(expected, rel=1e-9)
    assert table[0, 255].item() == pytest.approx(log_ndtr(-254.5 / width), rel=1e-9)


@pytest.mark.parametrize("width", [0.01, 0.17])
def test_low_rank_is_within_its_tolerance(width):
    table = log_cells(256, width * 255)
    u, v = low_rank(table, 1e-7)
    assert u.shape[1] < 60
    assert (u @ v.T - table).abs().max() <= 1e-7


def test_low_rank_of_what_has_none_is_exact():
    table = log_cells(5, 1e-4)
    u, v = low_rank(table, 1e-12)
    assert torch.equal(u @ v.T, table)


def test_level_cells_against_a_table_looked_up(monkeypatch):
    """In several blocks of samples and of rows."""
    monkeypatch.setattr(kernels, "ENTRIES", 100 * 50 * 5)
    s, x = random(3, 300, greys(50, 256)), random(4, 70, greys(50, 256))
    table = log_cells(256, 0.2 * 255)
    each = table[(x * 255).round().long()[:, None], (s * 255).round().long()].sum(2)
    expected = each.logsumexp(1) - math.log(300)
    nats = LevelCells(s, 256).log_mixture(x, [0.2])[0]
    torch.testing.assert_close(nats, expected, atol=2e-6, rtol=0)


def test_level_cells_approach_the_density_times_the_cell():
    """Wide kernels on fine levels, away from the open ends."""
    s, x = torch.full((1, 3), 120 / 255), torch.full((1, 3), 135 / 255)
    cells = LevelCells(s, 256).log_mixture(x, [0.05])
    density = Gaussian(s).log_mixture(x, [0.05])
    assert cells.item() == pytest.approx(density.item() - 3 * math.log(255), abs=1e-2)


@pytest.mark.parametrize("size", [3, 200])
def test_one_sample_at_the_origin_is_a_gaussian(size):
    x = 0.3 * random(5, 100, reals(size))
    sigma = torch.tensor(0.3, dtype=torch.float64)
    expected = torch.distributions.Normal(0 * sigma, sigma).log_prob(x.double()).sum(1)
    nats = Gaussian(torch.zeros(1, size)).log_mixture(x, [0.3])[0]
    torch.testing.assert_close(nats, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [2, 784])
def test_gaussian_is_the_one_of_scikit_learn(size):
    """With one leaf: where its tree has several, sums far below e^-36 drown in the rounding of others."""
    s = random(6, 300, greys(size, 256))
    x = s[:80] + 0.2 * random(7, 80, reals(size))
    nats = Gaussian(s).log_mixture(x, [0.2, 0.4])
    for width, ours in zip([0.2, 0.4], nats, strict=True):
        theirs = KernelDensity(bandwidth=width, leaf_size=300).fit(s.double().numpy())
        expected = theirs.score_samples(x.double().numpy())
        assert np.abs(ours.numpy() - expected).max() < 1e-9


def test_log_sum_of_terms_that_would_underflow():
    terms = torch.tensor([[-2000.0, -2001, -9000, -2000.5]], dtype=torch.float64)
    assert torch.equal(log_sum(terms.clone()), terms.logsumexp(1))


@pytest.mark.parametrize("spec", [bits(3), greys(3, 5), reals(3)], ids=lambda s: s.name)
def test_a_row_that_is_not_finite_spoils_itself_only(spec):
    x = random(8, 3, spec)
    x[1, 2] = math.nan
    nats = kernel_for(spec, random(9, 10, spec)).log_mixture(x, [0.3])[0]
    assert nats.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("spec", [bits(900), greys(50, 17), reals(50)], ids=lambda s: s.name)
def test_products_are_not_rounded_to_the_trainers_precision(spec):
    """In bfloat16, 300 and 301 bits that differ are the same."""
    s, x = random(10, 50, spec), random(11, 20, spec)
    plain = kernel_for(spec, s).log_mixture(x, [0.1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(kernel_for(spec, s).log_mixture(x, [0.1]), plain)
