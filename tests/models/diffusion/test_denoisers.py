from functools import partial

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Support, UnsupportedData, UsageError
from genlab.models.diffusion.denoisers import Denoiser
from genlab.models.diffusion.networks import Dense
from genlab.models.diffusion.schedules import alpha, sigma
from genlab.randomness import generator


def reals(*shape: int) -> DataSpec:
    return DataSpec("gaussian", "", shape, Support.REAL)


class Constant(torch.nn.Module):
    """A network that answers with the same tensor whatever it sees."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, z: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return self.answer.unsqueeze(-1)


@pytest.mark.parametrize("predict", ["x0", "epsilon", "v"])
def test_a_network_that_knows_its_target_finds_the_datum(predict):
    x, epsilon = torch.randn(5, 3), torch.randn(5, 3)
    log_snr = torch.tensor([-4.0, -1.0, 0.0, 2.0, 6.0])
    a, s = alpha(log_snr).unsqueeze(1), sigma(log_snr).unsqueeze(1)
    target = {"x0": x, "epsilon": epsilon, "v": a * epsilon - s * x}[predict]
    denoiser = Denoiser(reals(3), predict, network=lambda shape, outputs: Constant(target))
    torch.testing.assert_close(denoiser(a * x + s * epsilon, log_snr).mean, x, atol=1e-4, rtol=1e-4)


def test_levels_start_as_the_posterior_of_independent_entries():
    spec = DataSpec("skewed", "", (2,), Support.LEVELS, 3)
    train = torch.tensor([[0.0, 0.5]] * 60 + [[1.0, 0.5]] * 30 + [[0.5, 1.0]] * 10)
    denoiser = Denoiser(spec)
    denoiser.begin(Batch(train))
    log_snr, z = torch.tensor(-0.5), torch.tensor([[0.2, -0.7]])
    p = torch.tensor([[60.5, 10.5, 30.5], [0.5, 90.5, 10.5]]) / 101.5
    y = torch.tensor([-1.0, 0.0, 1.0])
    joint = (
        p
        * torch.distributions.Normal(alpha(log_snr) * y, sigma(log_snr))
        .log_prob(z.view(2, 1))
        .exp()
    )
    posterior = joint / joint.sum(1, keepdim=True)
    torch.testing.assert_close(denoiser.prior(z, log_snr).softmax(-1).squeeze(0), posterior)
    mean, variance = denoiser(z, log_snr)
    torch.testing.assert_close(mean.squeeze(0), posterior @ y)
    spread = (posterior * (y - mean.view(2, 1)).square()).sum(1)
    torch.testing.assert_close(variance.squeeze(0), spread)


def test_cosines_give_every_correction_of_17_levels_and_no_redundant_one(digits_spec):
    basis = Denoiser(digits_spec).prior.basis
    assert basis.shape == (16, 17)
    assert torch.linalg.matrix_rank(torch.cat([basis, torch.ones(1, 17)])) == 17
    binary = DataSpec("binary", "", (4,), Support.BINARY)
    assert Denoiser(binary).prior.basis.shape == (1, 2)


@pytest.mark.parametrize("predict", ["levels", "v"])
def test_a_permuted_batch_gives_permuted_predictions(predict, digits_spec):
    denoiser = Denoiser(digits_spec, predict).eval()
    with torch.no_grad():
        for p in denoiser.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator("test")))
    z, log_snr, order = torch.randn(6, 1, 8, 8), torch.linspace(-5, 8, 6), torch.randperm(6)
    permuted, mean = denoiser(z[order], log_snr[order]).mean, denoiser(z, log_snr).mean
    torch.testing.assert_close(permuted, mean[order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("predict", ["levels", "x0"])
def test_the_variance_is_the_one_that_was_named(predict, digits_spec):
    z, log_snr = torch.randn(2, 1, 8, 8), torch.tensor([-1.0, 3.0])
    normal = Denoiser(digits_spec, predict, variance="normal")(z, log_snr).variance
    torch.testing.assert_close(normal.flatten(), torch.sigmoid(-log_snr))
    assert (Denoiser(digits_spec, predict, variance="zero")(z, log_snr).variance == 0).all()
    assert Denoiser(reals(3)).variance == "normal"
    assert Denoiser(digits_spec).variance == "predicted"
    assert Denoiser(digits_spec, "v").variance == "zero"


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(UnsupportedData, match="REAL"):
        Denoiser(reals(2), "levels")
    with pytest.raises(UsageError, match="levels, epsilon, x0, v"):
        Denoiser(reals(2), "eps")
    with pytest.raises(UsageError, match="predicted, normal, zero"):
        Denoiser(reals(2), variance="posterior")
    with pytest.raises(UsageError, match="predict='levels'"):
        Denoiser(reals(2), variance="predicted")


@pytest.mark.parametrize("size", [1, 2, 64])
def test_the_dense_network_is_far_from_linear_in_z_from_the_start(size):
    """However many features of the log-SNR stand beside z; else plane data are not learnt."""
    torch.manual_seed(0)
    net = Dense((size,), hidden=(128, 128), dropout=0.0)
    hidden = torch.nn.Sequential(*list(net.layers)[:-1])
    z, zero = torch.randn(500, size), torch.zeros(500)
    h = hidden(net.bend(net.of_z(z) + net.of_time(zero)))
    design = torch.cat([z, torch.ones(500, 1)], 1)
    residual = h - design @ torch.linalg.lstsq(design, h).solution
    assert residual.var() / (h - h.mean(0)).var() > 0.1


def test_moments_over_many_levels_are_not_those_of_half_precision():
    """What bfloat16 leaves of x̂ would be 1 / 256, and a bound on 256 levels wrong by tens of nats."""
    spec = DataSpec("greys", "", (4,), Support.LEVELS, 256)
    denoiser = Denoiser(spec, network=partial(Dense, hidden=(32,))).eval()
    z, log_snr = torch.linspace(-1, 1, 4)[None], torch.tensor(12.0)
    exact = denoiser(z, log_snr)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = denoiser(z, log_snr)
    torch.testing.assert_close(half.mean, exact.mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(half.variance, exact.variance, atol=1e-6, rtol=1e-5)
