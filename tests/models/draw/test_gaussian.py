from __future__ import annotations

import torch
from torch.distributions import Independent, Normal, kl_divergence

from genlab.models.draw.gaussian import Gaussian, of


def some(seed: int) -> Gaussian:
    numbers = torch.randn(6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return of(0.5 * numbers)


def reference(gaussian: Gaussian) -> Independent:
    return Independent(Normal(gaussian.mean, gaussian.log_sigma.exp()), 1)


def test_log_prob_and_divergence_are_those_of_torch():
    q, p = some(0), some(1)
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(q.log_prob(z), reference(q).log_prob(z))
    torch.testing.assert_close(q.divergence(p), kl_divergence(reference(q), reference(p)))


def test_divergence_is_the_mean_of_the_log_ratio_of_draws():
    q, p = some(0), some(1)
    noise = torch.randn(
        40_000, 6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    ratios = torch.stack([q.log_prob(q.at(e)) - p.log_prob(q.at(e)) for e in noise])
    error = ratios.std(0) / len(noise) ** 0.5
    assert ((ratios.mean(0) - q.divergence(p)).abs() < 4 * error).all()
