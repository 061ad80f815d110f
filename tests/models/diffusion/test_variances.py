"""Variances of x given z that are found from data, on Gaussian data, where they are known."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from genlab.contracts import Batch, DataSpec, Support
from genlab.models.diffusion import Denoiser, Dense, Diffusion, LogLinear
from genlab.models.diffusion.bound import sum_terms
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.schedules import alpha, sigma
from genlab.models.diffusion.variances import NOISE_LEVELS, Analytic, Learned
from genlab.randomness import generator

SPEC = DataSpec("gaussian", "", (2,), Support.REAL)
MEAN, VARIANCE = 0.5, 0.25
ENDS = (9.0, -4.0)


def mean_of(z: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
    """E[x | z] for x ~ N(MEAN, VARIANCE)."""
    a = alpha(log_snr).to(z).reshape(-1, 1)
    total = a**2 * VARIANCE + sigma(log_snr).to(z).reshape(-1, 1) ** 2
    return MEAN + a * VARIANCE / total * (z - a * MEAN)


def true_variance(log_snr: torch.Tensor) -> torch.Tensor:
    return 1 / (1 / VARIANCE + log_snr.exp())


class Knowing(nn.Module):
    """The best mean, and a variance of the library's."""

    def __init__(self, variance_of: nn.Module) -> None:
        super().__init__()
        self.variance_of = variance_of

    def forward(self, z, log_snr):
        mean = mean_of(z, log_snr)
        return Moments(mean, self.variance_of(z, log_snr, z.new_zeros(()), z.new_zeros(())))


def knowing(steps: int, variance_of: nn.Module) -> Diffusion:
    return Diffusion(
        SPEC,
        schedule=partial(LogLinear, *ENDS),
        denoiser=lambda spec: Knowing(variance_of),
        steps=steps,
        bound_steps=0,
    )


def data(n: int) -> torch.Tensor:
    return MEAN + VARIANCE**0.5 * torch.randn(n, 2, generator=generator("data"))


def measured(steps: int) -> Diffusion:
    model = knowing(steps, Analytic())
    with torch.no_grad():
        torch.manual_seed(0)
        model.measure([Batch(part) for part in data(20_000).split(4096)])
    return model


def gap(model: Diffusion) -> tuple[float, float]:
    """Nats per entry of the bound above the exact number, and its standard error."""
    x = data(20_000)
    bound = sum_terms(model.bound(x, generator=generator("bound")))
    exact = ((x - MEAN).square() / VARIANCE + math.log(2 * math.pi * VARIANCE)).sum(1) / 2
    excess = (bound - exact) / 2
    return excess.mean().item(), excess.std().item() / len(x) ** 0.5


def test_the_analytic_variance_is_the_error_at_each_level():
    found = measured(10).denoiser.variance_of
    log_snr = torch.linspace(*ENDS, 200, dtype=torch.float64)
    ratio = found.at(log_snr) / true_variance(log_snr)
    assert (ratio - 1).abs().max() < 0.1  # 2000 data with 2 entries for each level: 1.6 %
    assert (ratio - 1).abs().mean() < 0.02


def lost(steps: int, variance_of: Analytic) -> float:
    """Nats per entry, over all steps: KL of two Gaussians of the same mean, the true step back and ours."""
    log_snr = torch.linspace(*ENDS, steps + 1, dtype=torch.float64)
    gain, t = -log_snr.exp().diff(), log_snr[1:]
    ratio = (1 + gain * true_variance(t)) / (1 + gain * variance_of.at(t))
    return ((ratio - 1 - ratio.log()) / 2).sum().item()


@pytest.mark.parametrize("steps", [4, 20, 100])
def test_it_closes_the_gap_to_what_the_ends_lose(steps):
    """Whatever the number of steps, up to the error of measuring it; standard normal data lose more."""
    model, known = measured(steps), Analytic()
    known.fit([Batch(torch.zeros(9, 2))], lambda _, log_snr: true_variance(log_snr), ENDS)
    assert lost(steps, known) < 2e-6
    assert lost(steps, model.denoiser.variance_of) < 5e-4
    assert lost(steps, Analytic()) > 0.003
    (high, low) = ENDS
    kept = 1 / (1 + math.exp(-low))
    second, variance = 1 - kept + kept * (VARIANCE + MEAN**2), 1 - kept + kept * VARIANCE
    ends = (second - 1 - math.log(variance) + math.log1p(math.exp(-high) / VARIANCE)) / 2
    found, error = gap(model)
    assert found == pytest.approx(ends, abs=4 * error)
    assert error < 0.008


def test_until_it_is_measured_it_is_that_of_standard_normal_data():
    log_snr = torch.tensor([-30.0, -2.0, 0.0, 5.0])
    torch.testing.assert_close(Analytic().at(log_snr), torch.sigmoid(-log_snr).double())


def test_it_is_linear_between_the_levels_and_constant_in_share_beyond_them():
    found = Analytic()
    found.ends.copy_(torch.tensor([8.0, -8.0]))
    found.share.copy_(torch.linspace(1, 0.2, NOISE_LEVELS))
    log_snr = torch.tensor([100.0, 8.0, 4.0, 0.1, -8.0, -100.0], dtype=torch.float64)
    share = torch.tensor([1.0, 1.0, 0.8, 0.605, 0.2, 0.2], dtype=torch.float64)
    torch.testing.assert_close(found.at(log_snr), share * torch.sigmoid(-log_snr))


def test_every_level_is_seen_equally_often_whatever_the_batches():
    seen = []

    def error(batch: Batch, log_snr: torch.Tensor) -> torch.Tensor:
        seen.append((batch.x[:, 0], log_snr))
        return torch.ones(len(log_snr))

    for sizes in ([3], [100, 40], [NOISE_LEVELS * 2000 + 7]):
        seen.clear()
        batches = [Batch(torch.rand(size, 1), torch.arange(size)) for size in sizes]
        Analytic().fit(batches, error, (5.0, -5.0))
        _, counts = torch.cat([log_snr for _, log_snr in seen]).unique(return_counts=True)
        assert len(counts) == NOISE_LEVELS
        assert counts.min() > 1900
        assert counts.max() - counts.min() <= 2


def test_it_is_a_stage_of_its_own_and_kept_with_the_weights(tmp_path):
    make = partial(
        Diffusion,
        SPEC,
        denoiser=partial(Denoiser, variance="analytic", network=partial(Dense, hidden=(16,))),
        steps=20,
    )
    model = make()
    fit, variance = model.stages()
    assert (fit.name, variance.name) == ("fit", "variance")
    assert not list(variance.module.parameters())
    with torch.no_grad():
        variance.solve([Batch(data(500))])
    assert (model.denoiser.variance_of.share < 0.9).any()
    torch.save(model.state_dict(), tmp_path / "model.ckpt")
    again = make()
    again.load_state_dict(torch.load(tmp_path / "model.ckpt", weights_only=True))
    z, log_snr = torch.zeros(3, 2), torch.tensor([-1.0, 0.0, 2.0])
    assert torch.equal(
        model.eval().denoiser(z, log_snr).variance, again.eval().denoiser(z, log_snr).variance
    )
    assert len(Diffusion(SPEC).stages()) == 1


def test_labels_are_told_as_in_training():
    spec = DataSpec("labelled", "", (2,), Support.REAL, classes=3)
    seen = []

    class Told(nn.Module):
        def __init__(self, shape, outputs, classes):
            super().__init__()

        def forward(self, z, u, label=None):
            seen.append(label)
            return z.new_zeros(*z.shape, 1)

    model = Diffusion(
        spec, denoiser=partial(Denoiser, variance="analytic", network=Told), labels=True
    )
    model.measure([Batch(data(500), torch.full((500,), 1))])
    told = torch.cat(seen)
    assert set(told.tolist()) == {1, 3}  # 3: not told
    assert (told == 3).double().mean().item() == pytest.approx(0.1, abs=0.01)


def test_the_learned_variance_lies_between_the_two_of_ho_et_al():
    z, log_snr = torch.randn(3, 2), torch.tensor([-1.0, 0.0, 4.0])
    normal = torch.sigmoid(-log_snr).view(3, 1).expand(3, 2)
    of = Learned()
    for f, share in ((-40.0, 0.0), (0.0, 0.5), (40.0, 1.0)):
        found = of(z, log_snr, z.new_zeros(()), torch.full((3, 2, 1), f))
        torch.testing.assert_close(found, share * normal)


def test_training_by_the_bound_finds_the_learned_variance():
    """A network that says of the variance what is best at each level of Gaussian data."""

    class Only(nn.Module):
        """The exact mean as x0, and one number for each of four noise levels."""

        def __init__(self, shape, outputs):
            super().__init__()
            assert outputs == 2
            self.f = nn.Parameter(torch.zeros(4))

        def forward(self, z, log_snr):
            place = ((ENDS[0] - log_snr) / (ENDS[0] - ENDS[1]) * 4).round().long() - 1
            f = self.f[place].view(-1, 1).expand(len(z), 2)
            return torch.stack([mean_of(z, log_snr), f], dim=-1)

    model = Diffusion(
        SPEC,
        schedule=partial(LogLinear, *ENDS),
        denoiser=partial(Denoiser, predict="x0", variance="learned", network=Only),
        steps=4,
        bound_steps=0,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    torch.manual_seed(0)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        model.loss(Batch(MEAN + VARIANCE**0.5 * torch.randn(2000, 2))).backward()
        optimizer.step()
    log_snr = model.schedule(torch.arange(1, 5).double() / 4)
    best = true_variance(log_snr) / torch.sigmoid(-log_snr)
    found = model.denoiser.network.f.sigmoid()
    torch.testing.assert_close(found.double(), best, rtol=0.1, atol=0.0)
