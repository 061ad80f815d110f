"""EDM's preconditioning against its formulas in y = z/α and ς = σ/α, written independently."""

from functools import partial

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Support
from genlab.models.diffusion import Denoiser
from genlab.models.diffusion.preconditioning import Preconditioning
from genlab.models.diffusion.schedules import alpha, sigma

FLAT = DataSpec("flat", "", (3,), Support.REAL)
LEVEL = torch.tensor([0.002, 0.3, 0.5, 1.0, 80.0], dtype=torch.float64)  # ς
LOG_SNR = -2 * LEVEL.log()
DATA = 0.7


def prior() -> Preconditioning:
    found = Preconditioning(FLAT)
    found.sigma_data.fill_(DATA)
    return found


def test_the_coefficients_are_those_of_the_paper():
    y, f = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    z = alpha(LOG_SNR)[:, None] * y
    level = LEVEL[:, None]
    total = (level**2 + DATA**2).sqrt()
    c_skip, c_out, c_in = (DATA / total) ** 2, level * DATA / total, 1 / total
    mean, variance = prior().moments(z, LOG_SNR, f.unsqueeze(-1))
    torch.testing.assert_close(mean, c_skip * y + c_out * f, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(prior().seen(z, LOG_SNR), c_in * y, rtol=1e-6, atol=1e-9)
    assert variance == 0


def test_at_initialisation_the_mean_is_what_c_skip_leaves_of_y():
    denoiser = Denoiser(FLAT, predict="edm").eval()
    denoiser.begin(Batch(torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])))
    assert denoiser.prior.sigma_data.item() == pytest.approx(3**0.5)
    y, level = torch.randn(5, 3), LEVEL.float()[:, None]
    z = alpha(LOG_SNR).float()[:, None] * y
    found = denoiser(z, LOG_SNR).mean
    torch.testing.assert_close(found, y * 3 / (3 + level**2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mean", [0.0, 0.6])
def test_inputs_and_targets_have_a_second_moment_of_one_at_every_level(mean):
    torch.manual_seed(0)
    x = mean + DATA * torch.randn(100_000, 1, dtype=torch.float64)
    found = Preconditioning(DataSpec("one", "", (1,), Support.REAL))
    found.fit(x)
    for log_snr in LOG_SNR:
        z = alpha(log_snr) * x + sigma(log_snr) * torch.randn_like(x)
        assert found.seen(z, log_snr).square().mean().item() == pytest.approx(1, abs=0.02)
        without = found.moments(z, log_snr, torch.zeros(100_000, 1, 1)).mean
        gain = found.moments(z, log_snr, torch.ones(100_000, 1, 1)).mean - without
        assert ((x - without) / gain).square().mean().item() == pytest.approx(1, abs=0.02)


def test_for_data_of_deviation_one_it_is_the_prediction_of_minus_v():
    z, f = torch.randn(5, 3), torch.randn(5, 3, 1)
    found = Preconditioning(FLAT)
    found.sigma_data.fill_(1.0)
    v = Denoiser(FLAT, predict="v").prior
    ours, theirs = found.moments(z, LOG_SNR, f).mean, v.moments(z, LOG_SNR, -f).mean
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(found.seen(z, LOG_SNR), z)


def test_images_are_measured_as_the_chain_sees_them():
    """Bits become −1 and 1, with a root mean square of 1 however rare the ones are."""
    spec = DataSpec("bits", "", (1, 2, 2), Support.BINARY)
    denoiser = partial(Denoiser, predict="edm")(spec)
    denoiser.begin(Batch((torch.rand(100, 1, 2, 2) < 0.1).float()))
    assert denoiser.prior.sigma_data.item() == 1.0
    saved = denoiser.state_dict()
    again = Denoiser(spec, predict="edm")
    again.load_state_dict(saved)
    assert again.prior.sigma_data.item() == 1.0
