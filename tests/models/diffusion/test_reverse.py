"""The reverse step against Bayes' rule, written independently of it."""

import math

import pytest
import torch

from genlab.models.diffusion.reverse import Moments, divergence, step
from genlab.models.diffusion.schedules import alpha, sigma

S, T = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)


def number(value: float) -> torch.Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def bayes(z_t: float, x: float) -> tuple[float, float, float, float]:
    """Mean and variance of q(z_s | z_t, x), its slope in x, and the variance of q(z_t | z_s)."""
    a = float(alpha(T) / alpha(S))
    forward = float(sigma(T) ** 2) - a**2 * float(sigma(S) ** 2)
    variance = 1 / (1 / float(sigma(S) ** 2) + a**2 / forward)
    slope = variance * float(alpha(S)) / float(sigma(S) ** 2)
    return variance * a * z_t / forward + slope * x, variance, slope, forward


@pytest.mark.parametrize("v", [0.0, 0.7])
def test_step_is_bayes_rule_averaged_over_the_datum(v):
    mean, deviation = step(number(0.7), Moments(number(-0.2), number(v)), S, T)
    expected, posterior, slope, _ = bayes(0.7, -0.2)
    assert mean.item() == pytest.approx(expected, rel=1e-9)
    assert deviation.item() ** 2 == pytest.approx(posterior + slope**2 * v, rel=1e-9)


def test_the_variance_of_standard_normal_data_gives_that_of_the_forward_step():
    v = torch.sigmoid(-T)
    _, deviation = step(number(0.7), Moments(number(-0.2), v), S, T)
    assert deviation.item() ** 2 == pytest.approx(bayes(0.7, -0.2)[3], rel=1e-9)


@pytest.mark.parametrize("v", [0.0, 0.7])
def test_divergence_is_that_of_two_gaussians(v):
    kl = divergence(number(-0.2), Moments(number(0.9), number(v)), S, T)
    q_mean, q_var, slope, _ = bayes(0.7, -0.2)
    p_mean, p_var = bayes(0.7, 0.9)[0], q_var + slope**2 * v
    expected = (q_var / p_var - 1 - math.log(q_var / p_var) + (q_mean - p_mean) ** 2 / p_var) / 2
    assert kl.item() == pytest.approx(expected, rel=1e-9)


def test_steps_may_differ_between_data():
    s, t = torch.tensor([1.0, 5.0, 9.0]), torch.tensor([0.5, 4.0, -6.0])
    x = Moments(torch.randn(3, 2, 2), torch.rand(3, 2, 2))
    signal, z = torch.randn(3, 2, 2), torch.randn(3, 2, 2)
    for i in range(3):
        one = Moments(x.mean[i : i + 1], x.variance[i : i + 1])
        torch.testing.assert_close(
            divergence(signal, x, s, t)[i : i + 1], divergence(signal[i : i + 1], one, s[i], t[i])
        )
        torch.testing.assert_close(
            step(z, x, s, t)[0][i : i + 1], step(z[i : i + 1], one, s[i], t[i])[0]
        )
