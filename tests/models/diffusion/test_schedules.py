import math

import pytest
import torch

from genlab.contracts import UsageError
from genlab.models.diffusion.schedules import (
    Cosine,
    Learned,
    Linear,
    LogLinear,
    alpha,
    resolving,
    sigma,
)

ALL = [LogLinear, Linear, Cosine, Learned]


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("ends", [(9.0, -5.0), (13.3, -6.0), (2.0, -1.0)])
def test_falls_from_one_end_to_the_other(schedule, ends):
    log_snr = schedule(*ends)(torch.linspace(0, 1, 1001, dtype=torch.float64))
    assert log_snr[0].item() == pytest.approx(ends[0], abs=1e-6)
    assert log_snr[-1].item() == pytest.approx(ends[1], abs=1e-6)
    assert (log_snr.diff() < 0).all()


@pytest.mark.parametrize("schedule", ALL)
def test_the_rate_is_the_derivative(schedule):
    found = schedule(9.0, -5.0)
    t = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(found(t).sum(), t)
    torch.testing.assert_close(found.rate(t), -slope)
    mean = torch.trapezoid(found.rate(torch.linspace(0, 1, 100_001).double()), dx=1e-5)
    assert mean.item() == pytest.approx(14.0, abs=1e-3)


def test_learned_ends_start_where_they_are_put_and_move_alone():
    schedule = Learned(levels=17)
    assert (schedule.log_snr_max, schedule.log_snr_min) == (resolving(17), -6.0)
    schedule.moved.data.copy_(torch.tensor([0.5, -0.25]))
    assert (schedule.log_snr_max, schedule.log_snr_min) == (resolving(17) + 0.5, -6.25)
    ends = schedule(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert ends.tolist() == [schedule.log_snr_max, schedule.log_snr_min]
    ends[0].backward()
    assert schedule.moved.grad.tolist() == [1.0, 0.0]
    assert [name for name, _ in schedule.named_parameters()] == ["moved"]
    assert Learned.learned
    assert not any(schedule.learned for schedule in (LogLinear, Linear, Cosine))


def test_signal_and_noise_have_unit_variance_together():
    log_snr = torch.tensor([-20.0, -5.0, 0.0, 9.0, 20.0])
    torch.testing.assert_close(alpha(log_snr) ** 2 + sigma(log_snr) ** 2, torch.ones(5))
    torch.testing.assert_close((alpha(log_snr) / sigma(log_snr)).log() * 2, log_snr)


def log_snr_of(alpha_squared: torch.Tensor) -> torch.Tensor:
    return alpha_squared.log() - (1 - alpha_squared).log()


def test_linear_is_the_limit_of_the_thousand_steps_of_ho_et_al():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    published = log_snr_of((1 - betas).cumprod(0))
    ours = Linear(published[0].item(), published[-1].item())(
        torch.linspace(0, 1, 1000, dtype=torch.float64)
    )
    assert (ours - published).abs().max() < 0.05


def test_cosine_is_that_of_nichol_and_dhariwal():
    t = torch.linspace(0.01, 0.98, 50, dtype=torch.float64)
    f = ((t + 0.008) / 1.008 * math.pi / 2).cos().square()
    published = log_snr_of(f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2)
    ours = Cosine(published[0].item(), published[-1].item())(
        torch.linspace(0, 1, 50, dtype=torch.float64)
    )
    torch.testing.assert_close(ours, published)


def test_the_upper_end_resolves_the_levels():
    assert resolving(2) < resolving(17) < resolving(256)
    assert resolving(256) == pytest.approx(14.1, abs=0.1)
    assert LogLinear(levels=17).log_snr_max == resolving(17)
    assert LogLinear(log_snr_max=3.0, levels=17).log_snr_max == 3.0
    assert not LogLinear(levels=17).state_dict()


@pytest.mark.parametrize("ends", [(1.0, 1.0), (-5.0, 9.0), (math.inf, 0.0), (math.nan, 0.0)])
def test_ends_must_be_finite_and_in_order(ends):
    with pytest.raises(UsageError, match="log_snr_max"):
        LogLinear(*ends)
