"""Completion by particles: against the posterior of a mixture of Gaussians, and sums over all data."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from genlab.contracts import DataSpec, Evidence, Noisy, Observed, Pooled, Support, UsageError
from genlab.data import toy2d
from genlab.models.diffusion import Diffusion
from genlab.models.diffusion.decoder import LevelDecoder, RealDecoder
from genlab.models.diffusion.particles import Population
from genlab.models.diffusion.reverse import Moments
from genlab.models.diffusion.targets import target_for, with_sum
from genlab.randomness import generator
from genlab.testing.statistics import g_test
from tests.models.diffusion.test_gaussian import Optimal

CENTRES = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [1.0, -0.5]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
WIDTH = 0.3


class Mixture(torch.nn.Module):
    """Mean and variance of x given z, for x of a mixture of Gaussians with independent entries.

    width: () or (D,), the same for all of them.
    """

    def __init__(
        self, centres: Tensor = CENTRES, shares: Tensor = SHARES, width: Tensor | float = WIDTH
    ) -> None:
        super().__init__()
        self.centres, self.shares = centres, shares
        self.width = torch.as_tensor(width, dtype=torch.float64)

    def forward(self, z: Tensor, log_snr: Tensor) -> Moments:
        a, s2 = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr)
        total = (a * self.width) ** 2 + s2
        away = z.double().unsqueeze(1) - a * self.centres
        share = (self.shares.log() - (away.square() / total / 2).sum(2)).softmax(1).unsqueeze(2)
        each = self.centres + a * self.width**2 / total * away
        mean = (share * each).sum(1)
        variance = self.width**2 * s2 / total + (share * each.square()).sum(1) - mean.square()
        return Moments(mean.to(z.dtype), variance.to(z.dtype))


def model(particles: int, mixture: Mixture | None = None) -> Diffusion:
    spec = DataSpec("mixture", "", (2,), Support.REAL)
    return Diffusion(
        spec, denoiser=lambda spec: mixture or Mixture(), steps=60, particles=particles
    )


def test_completions_follow_the_posterior_of_a_mixture():
    """x_0 = 0.6 leaves two of three components, that lie on either side of x_1 = 0.25."""
    seen = Observed(torch.tensor([[0.6, 0.0]]), torch.tensor([[True, False]]))
    x = model(32).complete(seen, 2000, generator=generator("observed"))[:, 0]
    assert (x[:, 0] == 0.6).all()
    share = (SHARES.log() - (0.6 - CENTRES[:, 0]).square() / WIDTH**2 / 2).softmax(0)
    for side, k in ((x[:, 1] > 0.25, 1), (x[:, 1] <= 0.25, 2)):
        assert side.double().mean().item() == pytest.approx(share[k].item(), abs=0.04)
        assert x[side, 1].mean().item() == pytest.approx(CENTRES[k, 1].item(), abs=0.03)
        assert x[side, 1].std().item() == pytest.approx(WIDTH, abs=0.03)


def test_denoised_data_follow_the_posterior_of_a_mixture():
    y, sigma = torch.tensor([[0.3, -0.2]]), 0.7
    x = model(32).complete(Noisy(y, sigma), 2000, generator=generator("noisy"))[:, 0].double()
    total = WIDTH**2 + sigma**2
    share = (SHARES.log() - (y - CENTRES).square().sum(1) / total / 2).softmax(0)
    means = (CENTRES * sigma**2 + y * WIDTH**2) / total
    wanted = (share.unsqueeze(1) * means).sum(0)
    torch.testing.assert_close(x.mean(0), wanted, atol=0.05, rtol=0)
    assert (x[:, 0] < -0.2).double().mean().item() == pytest.approx(share[0].item(), abs=0.04)


# ---------------------------------------------------------------------------------- eight Gaussians


def eight() -> Mixture:
    """The data of ``data=toy2d data.name=eight_gaussians``, standardised."""
    data = toy2d("eight_gaussians")
    mean, sigma = (torch.from_numpy(v) for v in data.preprocess.moments(data.source))
    angle = math.pi / 4 * torch.arange(8, dtype=torch.float64)
    centres = (2.8 * torch.stack([angle.cos(), angle.sin()], 1) - mean) / sigma
    return Mixture(centres, torch.full((8,), 1 / 8, dtype=torch.float64), 0.35 / sigma)


def distance(x: Tensor, share: Tensor, mean: Tensor, deviation: Tensor) -> float:
    """Kolmogorov and Smirnov's, of draws x: (n,) to a mixture of Gaussians."""
    x = x.double().sort().values
    p = (share * torch.special.ndtr((x[:, None] - mean) / deviation)).sum(1)
    rank = torch.arange(len(x), dtype=torch.float64)
    return float(torch.maximum((rank + 1) / len(x) - p, p - rank / len(x)).max())


def test_the_eight_gaussians_are_those_of_the_data():
    mixture = eight()
    x = toy2d("eight_gaussians").dataset("test")[torch.arange(2000)].x
    for axis in (0, 1):
        found = distance(x[:, axis], mixture.shares, mixture.centres[:, axis], mixture.width[axis])
        assert found < 0.044  # 1.95 / sqrt(2000): one time in a thousand


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_points_follow_the_posterior_of_one_coordinate(value):
    mixture = eight()
    seen = Observed(torch.tensor([[value, 0.0]]), torch.tensor([[True, False]]))
    x = model(32, mixture).complete(seen, 500, generator=generator("eight"))[:, 0]
    log_p = -((value - mixture.centres[:, 0]) / mixture.width[0]).square() / 2
    share = log_p.softmax(0)
    assert distance(x[:, 1], share, mixture.centres[:, 1], mixture.width[1]) < 0.09


def test_points_follow_the_posterior_of_a_noisy_one():
    mixture, y, sigma = eight(), torch.tensor([[0.3, 0.3]]), 0.5
    x = model(32, mixture).complete(Noisy(y, sigma), 500, generator=generator("noise"))[:, 0]
    total = mixture.width**2 + sigma**2
    share = -((y - mixture.centres).square() / total / 2).sum(1)
    gain = mixture.width**2 / total
    mean = mixture.centres + gain * (y - mixture.centres)
    for axis in (0, 1):
        deviation = mixture.width[axis] * (1 - gain[axis]).sqrt()
        assert distance(x[:, axis], share.softmax(0), mean[:, axis], deviation) < 0.09


# ---------------------------------------------------------------------------------------- particles


def test_more_particles_come_closer():
    seen = Observed(torch.tensor([[0.6, 0.0]]), torch.tensor([[True, False]]))
    share = (SHARES.log() - (0.6 - CENTRES[:, 0]).square() / WIDTH**2 / 2).softmax(0)[1].item()
    gaps = []
    for particles in (1, 32):
        x = model(particles).complete(seen, 2000, generator=generator("few"))[:, 0, 1]
        gaps.append(abs((x > 0.25).double().mean().item() - share))
    assert gaps[1] < gaps[0] / 2


def test_no_particles_are_refused():
    with pytest.raises(UsageError, match=r"^particles=0 must be at least 1"):
        model(0)


# ------------------------------------------------------------------------------------- the last step


LOG_SNR = torch.tensor(2.0, dtype=torch.float64)  # low enough that several levels are possible
SHAPE = (1, 2, 2)


def every(levels: int) -> Tensor:
    grid = torch.linspace(0, 1, levels, dtype=torch.float64)
    return torch.tensor(list(itertools.product(grid.tolist(), repeat=4))).double().view(-1, *SHAPE)


def pieces(levels: int) -> dict[str, Evidence]:
    x = every(levels)[7:8]
    mask = torch.tensor([True, False, False, True]).view(1, *SHAPE)
    pooled = Pooled(torch.nn.functional.avg_pool2d(x, 2), 2)
    return {"observed": Observed(x, mask), "noisy": Noisy(x + 0.1, 0.4), "pooled": pooled}


def repeated(evidence: Evidence, n: int) -> Evidence:
    return type(evidence)(
        **{
            k: v.expand(n, *SHAPE) if v.shape[1:] == SHAPE else v.expand(n, *v.shape[1:])
            for k, v in vars(evidence).items()
            if isinstance(v, Tensor)
        },
        **{k: v for k, v in vars(evidence).items() if not isinstance(v, Tensor)},
    )


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("kind", ["observed", "noisy", "pooled"])
def test_the_datum_is_drawn_from_what_the_last_state_and_the_evidence_say(kind, levels):
    evidence, decoder, x = pieces(levels)[kind], LevelDecoder(levels), every(levels)
    z = torch.tensor([0.1, -0.3, 0.5, 0.2], dtype=torch.float64).view(1, *SHAPE)
    log_p = decoder.log_prob(x, z.expand(len(x), *SHAPE), LOG_SNR).flatten(1).sum(1)
    joint = log_p + evidence.log_r(x[:, None])[:, 0]
    n = 20_000
    target = target_for(repeated(evidence, n), decoder, LOG_SNR)
    drawn, constant = target.finish(z.expand(n, *SHAPE), LOG_SNR, generator("finish"))
    assert constant[0].item() == pytest.approx(joint.logsumexp(0).item(), abs=1e-5)
    power = levels ** torch.arange(3, -1, -1)
    codes = ((drawn * (levels - 1)).round().long().flatten(1) * power).sum(1)
    assert g_test(codes.bincount(minlength=len(x)), joint.softmax(0)) > 1e-4


@pytest.mark.parametrize("kind", ["noisy", "pooled"])
def test_reals_agree_with_the_evidence(kind):
    """Moments of a Gaussian given its noisy values, or the means of its patches."""
    z = torch.tensor([0.1, -0.3, 0.5, 0.2], dtype=torch.float64).view(1, *SHAPE)
    a, v = torch.sigmoid(LOG_SNR).sqrt(), torch.exp(-LOG_SNR)
    centre, n = z / a, 40_000
    if kind == "noisy":
        y = torch.tensor([0.4, 0.0, -0.2, 0.9], dtype=torch.float64).view(1, *SHAPE)
        evidence: Evidence = Noisy(y, 0.4)
        gain = v / (v + 0.16)
        mean, variance = centre + gain * (y - centre), v * (1 - gain)
    else:
        evidence = Pooled(torch.tensor([[[[0.6]]]], dtype=torch.float64), 2)
        mean, variance = centre + (0.6 - centre.mean()), v * 3 / 4
    target = target_for(repeated(evidence, n), RealDecoder(), LOG_SNR)
    x, _ = target.finish(z.expand(n, *SHAPE), LOG_SNR, generator("reals"))
    torch.testing.assert_close(x.mean(0), mean[0], atol=0.01, rtol=0)
    torch.testing.assert_close(x.var(0), variance.expand(SHAPE), atol=0, rtol=0.03)
    if kind == "pooled":
        torch.testing.assert_close(x.flatten(1).mean(1), torch.full((n,), 0.6).double())


@pytest.mark.parametrize("wanted", [0, 3, 6])
def test_levels_of_a_sum_are_as_frequent_as_they_should_be(wanted):
    log_p = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0)).double().log_softmax(2)
    rows = torch.tensor(list(itertools.product(range(3), repeat=3)))
    joint = log_p[0, torch.arange(3), rows].sum(1)
    joint[rows.sum(1) != wanted] = -torch.inf
    n = 20_000
    found, constant = with_sum(log_p.expand(n, 3, 3), torch.full((n,), wanted), generator("sum"))
    assert (found.sum(1) == wanted).all()
    assert constant[0].item() == pytest.approx(joint.logsumexp(0).item(), abs=1e-9)
    counts = (found * torch.tensor([9, 3, 1])).sum(1).bincount(minlength=27)
    assert g_test(counts, joint.softmax(0)) > 1e-4


def test_a_sum_out_of_reach_has_no_probability():
    log_p = torch.zeros(1, 2, 20).double()
    log_p[..., 10] = 9.0
    _, constant = with_sum(log_p.log_softmax(2), torch.tensor([5]), generator("out"))
    assert constant.isneginf().all()


# ---------------------------------------------------------------------------------------- populations


def test_a_poor_population_is_drawn_anew_and_the_others_stay():
    population = Population(2, 4, generator("poor"))
    population.weigh(torch.tensor([0.0, 0.1, 0.0, 0.1, 9.0, -9.0, -9.0, -9.0]))
    rows = population.survivors()
    assert rows is not None
    assert rows.tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert population.log_w[1].tolist() == [0.0] * 4
    assert population.log_w[0, 1].item() == pytest.approx(0.1)
    assert population.survivors() is None


def test_particles_come_again_in_proportion_to_their_weight():
    share = torch.tensor([0.05, 0.15, 0.2, 0.6], dtype=torch.float64)
    counts = torch.zeros(4, dtype=torch.int64)
    for i in range(300):
        population = Population(1, 4, generator("share", i))
        population.log_w = share.log().unsqueeze(0) * 1.0
        counts += population._systematic(share.unsqueeze(0)).flatten().bincount(minlength=4)
    torch.testing.assert_close(counts / 1200, share, atol=0.02, rtol=0, check_dtype=False)


def test_a_population_without_any_weight_goes_on():
    population = Population(1, 3, generator("lost"))
    population.weigh(torch.full((3,), -torch.inf))
    assert population.weights().tolist() == [[1 / 3] * 3]


def test_a_denoiser_that_is_too_sure_of_x_pulls_no_state_out_of_reach():
    """It says that nothing is left to learn of x, at any noise level; the pull would be without end."""
    spec = DataSpec("plane", "", (2,), Support.REAL)
    sure = Diffusion(spec, denoiser=lambda spec: Optimal(0.0, 1.0, "zero"), steps=20)
    x, mask = torch.tensor([[1.5, 0.0]]), torch.tensor([[True, False]])
    drawn = sure.complete(Observed(x, mask), 50, generator=generator("sure"))
    assert drawn.isfinite().all()
    assert (drawn[:, 0, 0] == 1.5).all()
