"""Units against quadrature, scipy's distributions and automatic differentiation."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from genlab.models.boltzmann.units import Bernoulli, Gaussian, Joint, Rectified, Softmax, Units
from genlab.testing.statistics import g_test

KINDS = {"bernoulli": Bernoulli, "softmax": Softmax, "gaussian": Gaussian, "rectified": Rectified}
WIDE = [-50.0, -33.0, -31.0, -9.0, -7.0, -2.0, -0.5, 0.0, 0.7, 3.0, 9.0, 30.0, 50.0]
DRAWS = 20_000


def line(dtype: torch.dtype = torch.float64) -> Tensor:
    """(n, 1): each z a layer of one unit."""
    return torch.tensor(WIDE, dtype=dtype)[:, None]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def integral(z: float, low: float) -> list[float]:
    """∫ exp(zs − s²/2 − peak) ds from low up, and the mean of s: the peak is taken out."""
    top = max(z, low)
    peak = z * top - top * top / 2

    def weight(s: float) -> float:
        return math.exp(z * s - s * s / 2 - peak)

    reach = 40.0 if z > low - 3 else 40.0 / (low - z)
    ends = (max(low, top - reach), top + reach)
    mass, _ = integrate.quad(weight, *ends, points=[top], limit=200, epsabs=0, epsrel=1e-12)
    first, _ = integrate.quad(
        lambda s: s * weight(s), *ends, points=[top], limit=200, epsabs=1e-300, epsrel=1e-11
    )
    return [math.log(mass) + peak, first / mass]


@pytest.mark.parametrize(("units", "low"), [(Gaussian(1), -math.inf), (Rectified(1), 0.0)])
def test_continuous_units_agree_with_quadrature(units, low):
    expected = torch.tensor([integral(z, low) for z in WIDE], dtype=torch.float64)
    assert torch.allclose(units.log_partition(line()), expected[:, 0], rtol=1e-11, atol=1e-11)
    assert torch.allclose(units.mean(line())[:, 0], expected[:, 1], rtol=1e-8, atol=1e-9)


def test_discrete_units_agree_with_sums():
    z = line()
    expected = torch.stack([torch.zeros_like(z), z]).logsumexp(0)[:, 0]
    assert torch.allclose(Bernoulli(1).log_partition(z), expected, atol=1e-12)
    assert torch.allclose(Bernoulli(1).mean(z)[:, 0], (z[:, 0] - expected).exp(), atol=1e-12)
    z = torch.tensor([[1.0, -50.0, 2.0], [700.0, 702.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(Softmax(3).log_partition(z), z.logsumexp(1))
    assert torch.allclose(Softmax(3).mean(z), z.exp() / z.exp().sum(1, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_mean_is_the_derivative_of_the_log_partition_function(kind, dtype):
    z = line(dtype).repeat(1, 3) + torch.tensor([0.0, 0.1, -0.3], dtype=dtype)
    z.requires_grad_()
    (slope,) = torch.autograd.grad(kind(3).log_partition(z).sum(), z)
    mean = kind(3).mean(z.detach())
    assert slope.dtype == mean.dtype == dtype
    accurate = 1e-8 if dtype is torch.float64 else 3e-5
    assert torch.allclose(mean, slope, rtol=accurate, atol=1e-3 * accurate)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_half_the_digits_give_half_the_digits(kind):
    """Nothing cancels: float32 is right to float32, wherever z lies."""
    exact, rounded = line().repeat(1, 2), line(torch.float32).repeat(1, 2)
    for name in ("log_partition", "mean"):
        found, expected = getattr(kind(2), name)(rounded), getattr(kind(2), name)(exact)
        assert found.dtype is torch.float32
        assert torch.allclose(
            found.double(), expected, rtol=2e-6, atol=1e-12 if name == "mean" else 2e-6
        )


DISTRIBUTIONS = {
    "gaussian": (Gaussian, lambda z: stats.norm(z).cdf),
    "rectified": (Rectified, lambda z: stats.truncnorm(-z, math.inf, z).cdf),
}


@pytest.mark.parametrize("z", WIDE)
@pytest.mark.parametrize(("kind", "cdf"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
def test_draws_of_continuous_units_follow_their_density(kind, cdf, z):
    s = kind(1).draw(torch.full((DRAWS, 1), z, dtype=torch.float64), seeded())[:, 0]
    assert stats.kstest(s.numpy(), cdf(z)).pvalue > 1e-3


@pytest.mark.parametrize("z", WIDE)
def test_draws_of_bits_are_as_frequent_as_they_should_be(z):
    s = Bernoulli(1).draw(torch.full((DRAWS, 1), z), seeded())[:, 0]
    p = torch.tensor([-z, z], dtype=torch.float64).sigmoid()
    assert g_test(torch.bincount(s.long(), minlength=2), p) > 1e-3


def test_draws_of_a_label_have_one_bit_as_frequent_as_it_should_be():
    z = torch.tensor([0.0, 1.0, -2.0, 0.5])
    s = Softmax(4).draw(z.repeat(DRAWS, 1), seeded())
    assert (s.sum(1) == 1).all()
    assert g_test(s.sum(0), z.softmax(0)) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_draws_are_finite_of_the_given_type_and_repeatable(kind, dtype):
    z = line(dtype).repeat(200, 4)
    draw = kind(4).draw(z.clone(), seeded(3))
    assert draw.dtype is dtype
    assert draw.isfinite().all()
    assert torch.equal(draw, kind(4).draw(z.clone(), seeded(3)))
    assert not torch.equal(draw, kind(4).draw(z.clone(), seeded(4)))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_what_is_split_and_tempered_is_the_log_partition_function(kind):
    z = 3 * torch.randn(5, 4, dtype=torch.float64, generator=seeded())
    units = kind(4)
    linear, rest = units.split(z)
    for beta in (0.0, 0.3, 1.0):
        found = units.tempered(linear, rest, beta)
        assert torch.allclose(found, units.log_partition(beta * z), atol=1e-12)


def test_natural_parameters_of_data():
    v = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(Bernoulli(2).natural(v).sigmoid(), torch.tensor([2.5, 0.5]) / 4)
    label = torch.eye(3)[[0, 0, 1]]
    assert torch.allclose(Softmax(3).natural(label).softmax(0), torch.tensor([2.5, 1.5, 0.5]) / 4.5)
    assert torch.allclose(Gaussian(2).natural(v), v.mean(0))
    assert torch.equal(Rectified(2).natural(v), torch.zeros(2))


def test_layers_side_by_side_are_their_parts():
    parts: list[Units] = [Bernoulli(2), Softmax(3), Gaussian(2), Rectified(1)]
    joint = Joint(parts)
    assert (joint.size, joint.binary, joint.bounded) == (8, False, False)
    assert Joint(parts[:2]).bounded
    z = torch.randn(6, 8, dtype=torch.float64, generator=seeded())
    pieces = z.split([2, 3, 2, 1], dim=1)
    for name, join in {
        "log_partition": lambda found: sum(found),
        "energy": lambda found: sum(found),
        "mean": lambda found: torch.cat(found, 1),
    }.items():
        found = [getattr(part, name)(piece) for part, piece in zip(parts, pieces, strict=True)]
        assert torch.allclose(getattr(joint, name)(z), join(found))
    generator = seeded(1)
    drawn = [part.draw(piece.clone(), generator) for part, piece in zip(parts, pieces, strict=True)]
    assert torch.equal(joint.draw(z.clone(), seeded(1)), torch.cat(drawn, 1))
    assert (joint.draw(z.clone(), seeded(2))[:, 2:5].sum(1) == 1).all()


def test_base_measures():
    s = torch.tensor([[0.5, 2.0], [0.0, 1.0]])
    for kind in (Gaussian, Rectified):
        assert torch.equal(kind(2).energy(s), torch.tensor([2.125, 0.5]))
    for kind in (Bernoulli, Softmax):
        assert torch.equal(kind(2).energy(s), torch.zeros(2))
