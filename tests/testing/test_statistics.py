"""The statistics against scipy, and at the level they promise."""

import numpy as np
import pytest
import torch
from scipy import stats

from genlab.testing.statistics import Estimate, chi2_sf, frequencies, g_test


@pytest.mark.parametrize(
    ("x", "freedom"), [(0.0, 1), (3.84, 1), (50.0, 20), (900.0, 624), (60.0, 2)]
)
def test_chi2_tail(x, freedom):
    assert chi2_sf(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9)


def test_g_test_without_rare_cells_is_the_likelihood_ratio_test():
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    counts = torch.tensor([120, 190, 280, 410])
    expected = 1000 * p
    wanted = stats.power_divergence(
        counts.numpy(), expected.numpy(), lambda_="log-likelihood"
    ).pvalue
    assert g_test(counts, p) == pytest.approx(wanted, rel=1e-5)


def test_p_values_are_uniform_even_with_many_rare_cells():
    p = torch.softmax(3 * torch.randn(200, generator=torch.Generator().manual_seed(0)), 0)
    draw = torch.distributions.Multinomial(5000, p).sample
    torch.manual_seed(0)
    values = [g_test(draw(), p) for _ in range(400)]
    assert stats.kstest(values, "uniform").statistic < 0.12
    assert min(values) > 1e-4


def test_impossible_counts_and_numbers_are_refused():
    assert g_test(torch.tensor([10, 1]), torch.tensor([1.0, 0.0])) == 0.0
    assert g_test(torch.tensor([10, 1]), torch.tensor([float("nan"), 0.5])) == 0.0
    assert g_test(torch.tensor([10, 0]), torch.tensor([1.0, 0.0])) == 1.0


def test_an_estimate_counts_its_standard_errors():
    repeats = torch.from_numpy(np.random.default_rng(0).normal(2.0, 3.0, size=(400, 5)))
    estimate = Estimate.of(repeats)
    assert torch.allclose(estimate.error, torch.full((5,), 3 / 20, dtype=torch.float64), rtol=0.2)
    assert estimate.sigmas(2.0).abs().max() < 4
    assert estimate.sigmas(1.0).min() > 4
    same = Estimate.of(torch.full((10, 2), 1.0))
    assert same.sigmas(1.00005).abs().max() == 0
    assert same.sigmas(same).abs().max() == 0


def test_frequencies_have_binomial_errors():
    seen = frequencies(torch.tensor([5000, 5000, 0]))
    assert seen.mean.tolist() == [0.5, 0.5, 0.0]
    assert seen.error[0].item() == pytest.approx(0.005)
    assert seen.error[2].item() > 0
