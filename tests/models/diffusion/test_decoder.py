import math

import pytest
import torch

from genlab.models.diffusion.decoder import LevelDecoder, RealDecoder
from genlab.randomness import generator


@pytest.mark.parametrize("levels", [2, 5, 17])
@pytest.mark.parametrize("log_snr", [-2.0, 1.5, 9.0])
def test_the_mass_over_the_levels_is_one_and_draws_follow_it(levels, log_snr):
    decoder, log_snr = LevelDecoder(levels), torch.tensor(log_snr)
    z = torch.tensor([[-0.9], [0.13], [1.4]])
    values = torch.linspace(0, 1, levels)
    p = torch.stack(
        [decoder.log_prob(v.expand(3, 1), z, log_snr).exp().squeeze(1) for v in values], 1
    )
    torch.testing.assert_close(p.sum(1), torch.ones(3))
    draws = decoder.sample(z.repeat(20_000, 1), log_snr, generator("test")).view(-1, 3)
    frequency = torch.stack([(draws - v).abs().lt(1e-6).float().mean(0) for v in values], 1)
    torch.testing.assert_close(frequency, p, atol=0.016, rtol=0)


def test_the_mass_is_bayes_rule_with_equal_prior():
    log_snr = torch.tensor(0.8)
    a, s = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()
    likelihood = torch.distributions.Normal(a * torch.linspace(-1, 1, 5), s).log_prob(
        torch.tensor(0.3)
    )
    p = LevelDecoder(5).log_prob(torch.tensor([[0.75]]), torch.tensor([[0.3]]), log_snr).exp()
    torch.testing.assert_close(p.squeeze(), likelihood.softmax(0)[3])


def test_the_density_integrates_to_one_and_draws_follow_it():
    decoder, log_snr, z = RealDecoder(), torch.tensor(2.0), torch.tensor([[0.6]])
    grid = torch.linspace(-5, 5, 10_001).view(-1, 1)
    p = decoder.log_prob(grid, z.expand(len(grid), 1), log_snr).exp()
    assert torch.trapezoid(p.squeeze(), grid.squeeze()).item() == pytest.approx(1, abs=1e-4)
    draws = decoder.sample(z.expand(20_000, 1), log_snr, generator("test"))
    mean = (p * grid).sum() / p.sum()
    assert draws.mean().item() == pytest.approx(mean.item(), abs=0.01)
    assert draws.std().item() == pytest.approx(math.exp(-1.0), abs=0.01)


@pytest.mark.parametrize("decoder", [LevelDecoder(5), RealDecoder()])
def test_unembed_undoes_embed(decoder):
    x = torch.linspace(0, 1, 5)
    torch.testing.assert_close(decoder.unembed(decoder.embed(x)), x)
