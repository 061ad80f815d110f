"""The reverse step against Bayes' rule, written independently of it."""

import math

import pytest
import torch

from genlab.contracts import UsageError
from genlab.models.diffusion.reverse import Reverse
from genlab.models.diffusion.schedules import alpha, sigma

S, T = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)


def bayes(z_t: float, x: float, s: torch.Tensor, t: torch.Tensor) -> tuple[float, float, float]:
    """Mean and variance of q(z_s | z_t, x), and the variance of q(z_t | z_s)."""
    a = float(alpha(t) / alpha(s))
    forward = float(sigma(t) ** 2) - a**2 * float(sigma(s) ** 2)
    precision = 1 / float(sigma(s) ** 2) + a**2 / forward
    mean = (float(alpha(s)) * x / float(sigma(s) ** 2) + a * z_t / forward) / precision
    return mean, 1 / precision, forward


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_step_is_bayes_rule_with_the_named_variance(variance):
    z, x = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-0.2], dtype=torch.float64)
    mean, deviation = Reverse(variance).step(z, x, S, T)
    expected, posterior, forward = bayes(0.7, -0.2, S, T)
    assert mean.item() == pytest.approx(expected, rel=1e-9)
    named = {"posterior": posterior, "forward": forward}
    assert deviation.item() ** 2 == pytest.approx(named[variance], rel=1e-9)


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_divergence_is_that_of_two_gaussians(variance):
    weight, excess = Reverse(variance).divergence(S, T)
    q_mean, q_var, forward = bayes(0.7, -0.2, S, T)
    p_mean, _, _ = bayes(0.7, 0.9, S, T)
    p_var = {"posterior": q_var, "forward": forward}[variance]
    kl = (q_var / p_var - 1 - math.log(q_var / p_var) + (q_mean - p_mean) ** 2 / p_var) / 2
    assert (weight * 1.1**2 + excess).item() == pytest.approx(kl, rel=1e-9)


def test_an_unknown_variance_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="posterior, forward"):
        Reverse("learned")
