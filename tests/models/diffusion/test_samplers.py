"""Few-step samplers on Gaussian data, for which the path of the probability flow is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genlab.contracts import UsageError
from genlab.models.diffusion import DDIM, DPMSolver, Heun, LogLinear, Sampler
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, sigma

MEAN, VARIANCE = 0.7, 0.3
SCHEDULE = LogLinear(9.0, -6.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def denoise(z: Tensor, log_snr: Tensor) -> Moments:
    """E[x | z] of Gaussian data."""
    a, s2 = alpha(log_snr), sigma(log_snr) ** 2
    gain = a * VARIANCE / (a**2 * VARIANCE + s2)
    return Moments(MEAN + gain * (z - a * MEAN), torch.zeros(()))


def marginal(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of z."""
    a = alpha(log_snr)
    return a * MEAN, (a**2 * VARIANCE + sigma(log_snr) ** 2).sqrt()


def exact(z: Tensor) -> Tensor:
    """Where the flow carries z_1: each quantile stays what it is."""
    (m1, s1), (m0, s0) = (marginal(SCHEDULE(torch.tensor(t).double())) for t in (1.0, 0.0))
    return m0 + s0 * (z - m1) / s1


def error(sampler: Sampler) -> float:
    z = torch.linspace(-2, 2, 9, dtype=torch.float64).unsqueeze(1)
    *_, end = sampler(denoise, SCHEDULE, z, generator=seeded())
    return float((end - exact(z)).abs().max())


MAKE = {
    "DDIM": (DDIM, 1),
    "2M": (lambda n: DPMSolver(n, "2M"), 2),
    "2S": (lambda n: DPMSolver(n, "2S"), 2),
    "Heun": (Heun, 2),
}


@pytest.mark.parametrize(("make", "order"), MAKE.values(), ids=MAKE.keys())
def test_the_error_falls_with_the_order_of_the_rule(make, order):
    coarse, fine = error(make(100)), error(make(200))
    assert coarse / fine == pytest.approx(2**order, rel=0.15)
    assert fine < 0.02


def test_second_order_is_better_with_few_calls():
    """As many calls of the network: 20."""
    first = error(DDIM(20))
    assert error(DPMSolver(20)) < first / 3
    assert error(DPMSolver(10, "2S")) < first / 2


def start(n: int) -> Tensor:
    """(n, 1) draws of z_1."""
    mean, deviation = marginal(SCHEDULE(torch.tensor(1.0).double()))
    return mean + deviation * torch.randn(n, 1, generator=seeded(), dtype=torch.float64)


def gap(sampler: Sampler) -> float:
    """Relative error of the standard deviation of z_0."""
    *_, end = sampler(denoise, SCHEDULE, start(40_000), generator=seeded(1))
    mean, deviation = marginal(SCHEDULE(torch.tensor(0.0).double()))
    assert end.mean().item() == pytest.approx(mean.item(), abs=0.02)
    return abs(end.std().item() / deviation.item() - 1)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_the_stochastic_equation_keeps_the_distribution(eta):
    assert gap(DPMSolver(60, eta=eta)) < 0.015
    *_, end = DPMSolver(60, eta=eta)(denoise, SCHEDULE, start(10), generator=seeded(1))
    *_, flow = DPMSolver(60)(denoise, SCHEDULE, start(10), generator=seeded(1))
    assert not torch.allclose(end, flow, atol=0.1)


def test_the_stochastic_equation_is_solved_to_second_order():
    assert gap(DPMSolver(20, eta=1.0)) < gap(DDIM(20, eta=1.0)) / 3


def test_a_single_step_is_of_first_order():
    for eta in (0.0, 1.0):
        ends = [
            list(sampler(denoise, SCHEDULE, start(9), generator=seeded()))[-1]
            for sampler in (DPMSolver(1, eta=eta), DDIM(1, eta=eta))
        ]
        torch.testing.assert_close(*ends)


@pytest.mark.parametrize(
    "sampler",
    [DPMSolver(6), DPMSolver(6, "2S"), DPMSolver(6, eta=1.0), Heun(6), Heun(6, churn=3.0)],
)
def test_every_state_is_handed_out(sampler):
    z = torch.randn(4, 2, generator=seeded())
    states = list(sampler(denoise, SCHEDULE, z, generator=seeded()))
    assert len(states) == 7
    assert torch.equal(states[0], z)
    assert all(state.shape == z.shape for state in states)


def test_calls_of_the_network():
    seen = []

    def counted(z: Tensor, log_snr: Tensor) -> Moments:
        seen.append(float(log_snr))
        return denoise(z, log_snr)

    for sampler, calls in ((DPMSolver(8), 8), (DPMSolver(8, "2S"), 16), (Heun(8), 16)):
        seen.clear()
        list(sampler(counted, SCHEDULE, torch.zeros(1, 1).double(), generator=seeded()))
        assert len(seen) == calls
        assert max(seen) <= 9.0 + 1e-9
        assert min(seen) >= -6.0 - 1e-9


def test_levels_of_heun_are_those_of_the_paper():
    found = Heun(4, rho=7.0).levels(-6.0, 9.0)
    high, low = math.exp(3.0), math.exp(-4.5)
    for i, level in enumerate(found):
        root = high ** (1 / 7) + i / 4 * (low ** (1 / 7) - high ** (1 / 7))
        assert level == pytest.approx(root**7)


def test_churn_keeps_the_distribution():
    """Noise that is added is taken away again: the ends have the mean and variance of z_0."""
    z = start(40_000)
    *_, end = Heun(60, churn=20.0)(denoise, SCHEDULE, z, generator=seeded(1))
    mean, deviation = marginal(SCHEDULE(torch.tensor(0.0).double()))
    assert end.mean().item() == pytest.approx(mean.item(), abs=0.01)
    assert end.std().item() == pytest.approx(deviation.item(), rel=0.02)
    *_, without = Heun(60)(denoise, SCHEDULE, z, generator=seeded(1))
    assert not torch.allclose(end, without)


def test_values_out_of_range_are_refused():
    with pytest.raises(UsageError, match=r"sampler\.order=3M: expected 2M or 2S"):
        DPMSolver(3, "3M")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"sampler\.eta=2 must lie between 0"):
        DPMSolver(3, eta=2)
    with pytest.raises(UsageError, match=r"sampler\.eta=1.0 goes with sampler\.order=2M"):
        DPMSolver(3, "2S", eta=1.0)
    with pytest.raises(UsageError, match=r"sampler\.churn=-1"):
        Heun(3, churn=-1)
