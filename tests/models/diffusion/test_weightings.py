"""Weights at given SNRs, for the errors in ε, x and v, and what the weighted errors are."""

from functools import partial

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Support, UsageError
from genlab.models.diffusion import Denoiser, Diffusion, LogLinear
from genlab.models.diffusion.bound import Continuous
from genlab.models.diffusion.preconditioning import Preconditioning
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.weightings import EDM, P2, MinSNR, Simple

PLANE = DataSpec("plane", "", (2,), Support.REAL)
SNR = torch.tensor([0.01, 0.5, 1.0, 4.0, 5.0, 20.0, 400.0], dtype=torch.float64)
LOG_SNR = SNR.log()


def test_simple_is_one_for_the_error_in_epsilon():
    assert torch.equal(Simple().weight(LOG_SNR), torch.ones_like(SNR))


def test_min_snr_is_the_formula_of_hang_et_al_in_all_three_errors():
    weight = MinSNR().weight(LOG_SNR)
    least = torch.minimum(SNR, torch.tensor(5.0))
    torch.testing.assert_close(weight, least / SNR)  # of ε
    torch.testing.assert_close(weight * SNR, least)  # of x, as |ε − ε̂|² = SNR |x − x̂|²
    torch.testing.assert_close(weight * SNR / (1 + SNR), least / (SNR + 1))  # of v


def test_p2_is_the_formula_of_choi_et_al():
    torch.testing.assert_close(P2().weight(LOG_SNR), 1 / (1 + SNR))


def test_edm_is_the_formula_of_karras_et_al_for_the_error_in_x():
    level, data = SNR.rsqrt(), 0.5
    published = (level**2 + data**2) / (level * data) ** 2  # of the error in x
    torch.testing.assert_close(EDM(Preconditioning(PLANE)).weight(LOG_SNR) * SNR, published)


class Wrong(torch.nn.Module):
    """Wrong by 0.1 in every entry of x, and an ε̂, v̂ that are wrong as this says."""

    def __init__(self, signal: torch.Tensor) -> None:
        super().__init__()
        self.signal = signal

    def forward(self, z, log_snr):
        return Moments(self.signal - 0.1, torch.zeros(()))


@pytest.mark.parametrize("weighting", [Simple(), MinSNR(), P2()])
def test_the_loss_is_the_weighted_mean_squared_error_in_epsilon(weighting):
    signal = torch.randn(7, 3, dtype=torch.float64)
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    schedule = LogLinear(9.0, -6.0)
    found = weighting.error(signal, t, Wrong(signal), schedule)
    snr = schedule(t).exp()
    torch.testing.assert_close(found, weighting.weight(schedule(t)) * snr * 0.01)


def test_the_edm_loss_is_the_error_of_the_networks_output():
    """What it should have said and did not, squared, at whatever noise level."""
    prior = Preconditioning(PLANE)
    signal = 0.5 * torch.randn(20_000, 2, dtype=torch.float64)
    prior.fit(signal)
    f = torch.randn(20_000, 2, 1, dtype=torch.float64)
    found = EDM(prior).error(
        signal,
        torch.rand(20_000, dtype=torch.float64),
        lambda z, log_snr: prior.moments(z, log_snr, f),
        LogLinear(9.0, -6.0),
    )
    # F* has variance 1 and knows nothing of f, whose variance is 1
    assert found.mean().item() == pytest.approx(2.0, abs=0.04)


def test_levels_of_edm_are_log_normal_relative_to_the_data():
    prior = Preconditioning(PLANE)
    t = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    for scale in (0.5, 2.0):
        prior.sigma_data.fill_(scale)
        level = -prior.log_normal(t) / 2  # ln ς
        expected = -1.2 + torch.tensor(scale / 0.5).log()
        assert level.mean().item() == pytest.approx(expected.item(), abs=1e-3)
        assert level.std().item() == pytest.approx(1.2, abs=2e-3)
    seen = EDM(prior).log_snr(LogLinear(2.0, -1.0), t)
    assert (seen.max().item(), seen.min().item()) == (2.0, -1.0)


def test_the_weight_of_the_bound_integrates_to_the_bound():
    """½ D (−dλ/dt) for the mean squared error in ε is the diffusion term in continuous time."""
    schedule, signal = LogLinear(9.0, -6.0), torch.randn(1, 2).double().expand(5000, 2)
    denoise = Wrong(signal)
    t = (torch.arange(5000, dtype=torch.float64) + 0.5) / 5000
    half_d = signal.shape[1] / 2
    weighted = half_d * schedule.rate(t) * Simple().error(signal, t, denoise, schedule)
    found = Continuous().cost(denoise, schedule, signal, t, None)
    torch.testing.assert_close(found, weighted)
    snr_0, snr_1 = (schedule(torch.tensor(e).double()).exp().item() for e in (0.0, 1.0))
    assert found.mean().item() == pytest.approx((snr_0 - snr_1) * 2 * 0.01 / 2, rel=1e-3)


@pytest.mark.parametrize("weighting", ["simple", "min_snr", "p2", "edm"])
def test_every_weighting_moves_the_last_layer_of_a_new_network(weighting):
    denoiser = partial(Denoiser, predict="edm" if weighting == "edm" else "v")
    model = Diffusion(PLANE, denoiser=denoiser, weighting=weighting, steps=10)
    loss = model.loss(Batch(torch.randn(50, 2) + 1))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.abs().sum() > 0 for p in model.denoiser.network.layers[-1].parameters())


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UsageError, match=r"weighting=snr: expected bound, simple, min_snr, p2 or"):
        Diffusion(PLANE, weighting="snr")
    with pytest.raises(UsageError, match=r"add denoiser\.predict=edm"):
        Diffusion(PLANE, weighting="edm")
