"""How data become visible units: masses and densities in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genlab.contracts import DataSpec, Support
from genlab.models.boltzmann.inputs import Bits, Greys, Inputs, Reals, inputs_for
from genlab.models.boltzmann.units import Bernoulli, Gaussian

LEVELS, DRAWS = 5, 100_000
GREY = DataSpec("greys", "5 levels", (1, 2, 1), Support.LEVELS, LEVELS)
REAL = DataSpec("reals", "", (3,), Support.REAL, log_scale=0.0)
BITS = DataSpec("bits", "", (2, 2), Support.BINARY)
ALL = torch.arange(LEVELS) / (LEVELS - 1)
MEAN = torch.tensor([0.3, -0.6], dtype=torch.float64)  # of v, whose variance is one


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def greys(log_width: Tensor | None = None) -> Greys:
    inputs = Greys(GREY).double()
    inputs.centre.copy_(torch.tensor([0.45, 0.62]))
    with torch.no_grad():
        inputs.log_width.copy_(torch.tensor([-1.6, -0.9]) if log_width is None else log_width)
    return inputs


def grey(level: int) -> Tensor:
    """(1, *shape)"""
    return torch.full((1, 1, 2, 1), level / (LEVELS - 1), dtype=torch.float64)


def estimate(inputs: Inputs, x: Tensor) -> Tensor:
    """(DRAWS,) exp(log_scale) p(v) with v from N(MEAN, 1)."""
    v, log_scale = inputs(x.expand(DRAWS, *x.shape[1:]), seeded())
    log_p = -0.5 * (v - MEAN).square() - 0.5 * math.log(2 * math.pi)
    return (log_scale + log_p.sum(1)).exp()


def mass(level: int, centre: Tensor, log_width: Tensor) -> Tensor:
    """Of the cell in closed form: Φ at its upper less Φ at its lower end, in both entries."""
    ends = torch.tensor([level, level + 1]) / LEVELS
    if level == 0:
        ends[0] = -40  # far enough to be no end
    if level == LEVELS - 1:
        ends[1] = 40
    v = (ends.double()[:, None] - centre) / log_width.exp() - MEAN
    at = 0.5 * torch.erfc(-v / math.sqrt(2))
    return (at[1] - at[0]).prod()


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_level_has_the_mass_of_its_cell(level):
    inputs = greys()
    with torch.no_grad():
        weight = estimate(inputs, grey(level))
        exact = float(mass(level, inputs.centre, inputs.log_width))
    error = float(weight.std()) / DRAWS**0.5
    assert error < 0.02 * exact
    assert float(weight.mean()) == pytest.approx(exact, abs=4 * error)


def test_levels_sum_to_one():
    inputs = greys()
    total = 0.0
    with torch.no_grad():
        for first in range(LEVELS):
            for second in range(LEVELS):
                x = torch.tensor([first, second]).view(1, 1, 2, 1).double() / (LEVELS - 1)
                total += float(estimate(inputs, x).mean())
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("level", range(LEVELS))
def test_widths_learn_by_the_gradient_of_the_mass(level):
    inputs = greys()
    weight = estimate(inputs, grey(level))
    log_width = inputs.log_width.detach().clone().requires_grad_(True)
    (exact,) = torch.autograd.grad(mass(level, inputs.centre, log_width), log_width)
    half = weight.view(10, -1).mean(1)  # batches, for the error of the mean of gradients
    slopes = torch.stack(
        [torch.autograd.grad(part, inputs.log_width, retain_graph=True)[0] for part in half]
    )
    error = slopes.std(0) / 10**0.5
    assert (error < 0.05 * exact.abs().max()).all()
    assert ((slopes.mean(0) - exact).abs() < 5 * error).all()


def test_estimate_is_exact_where_the_proposal_is_the_density():
    """In the middle of a cell every draw gives log(Φ(a) − Φ(−a)), a half the width of the cell."""
    inputs = greys()
    inputs.centre.fill_(0.5)
    v, log_scale = inputs(grey(2).expand(100, -1, -1, -1), seeded())
    found = log_scale - 0.5 * v.square().sum(1) - math.log(2 * math.pi)
    a = 0.5 / LEVELS * (-inputs.log_width).exp()
    exact = torch.erf(a / math.sqrt(2)).log().sum()
    assert torch.allclose(found, exact.expand(100), atol=1e-10)
    (slope,) = torch.autograd.grad(found[7], inputs.log_width)
    phi = (-0.5 * a.square()).exp() / math.sqrt(2 * math.pi)
    assert torch.allclose(slope, -a * 2 * phi / torch.erf(a / math.sqrt(2)), atol=1e-10)


@pytest.mark.parametrize("log_width", [-4.0, -1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_lie_in_the_cells_that_they_came_from(log_width, dtype):
    inputs = greys(torch.full((2,), log_width)).to(dtype)
    x = ALL.to(dtype).view(-1, 1, 1, 1).expand(-1, 1, 2, 1)
    for seed in range(200):
        v, log_scale = inputs(x, seeded(seed))
        assert v.isfinite().all()
        assert log_scale.isfinite().all()
        assert torch.allclose(inputs.back(v), x)
    assert torch.allclose(inputs.back(inputs.mean(x)), x)
    assert torch.allclose(inputs.expected(inputs.mean(x)), x, atol=1e-5)


def test_levels_begin_at_the_moments_of_the_data():
    inputs = Greys(GREY)
    x = torch.rand(500, 1, 2, 1, generator=seeded()).mul(LEVELS).floor() / (LEVELS - 1)
    x[:, 0, 1] = 1.0  # always white: the width of the cell is left
    inputs.begin(x)
    v = inputs.mean(x).detach()
    assert torch.allclose(v.mean(0), torch.zeros(2), atol=1e-4)
    assert float(v[:, 0].std()) == pytest.approx(1, abs=0.1)
    assert float(inputs.log_width[1].detach().exp()) == pytest.approx(1 / LEVELS / 12**0.5)


def test_reals_are_scaled_by_their_jacobian():
    inputs = Reals(REAL).double()
    x = torch.randn(200, 3, dtype=torch.float64, generator=seeded()) * torch.tensor([1.0, 5.0, 0.1])
    inputs.begin(x + 3)
    v, log_scale = inputs(x + 3)
    assert torch.allclose(v.mean(0), torch.zeros(3).double(), atol=1e-6)
    assert torch.allclose(v.var(0, correction=0), torch.ones(3).double(), atol=1e-3)
    jacobian = torch.autograd.functional.jacobian(lambda y: inputs(y[None])[0][0], x[0])
    assert torch.allclose(log_scale, torch.linalg.slogdet(jacobian)[1].expand(200))
    assert torch.allclose(inputs.back(v), x + 3)
    assert torch.allclose(inputs.expected(v), x + 3)


def test_bits_are_units_as_they_are():
    inputs = inputs_for(BITS)
    assert isinstance(inputs, Bits)
    assert isinstance(inputs.units, Bernoulli)
    x = (torch.rand(7, 2, 2, generator=seeded()) < 0.5).float()
    v, log_scale = inputs(x)
    assert torch.equal(v, x.flatten(1))
    assert torch.equal(log_scale, torch.zeros(7))
    for back in (inputs.back, inputs.expected):
        assert torch.equal(back(v), x)


def test_what_serves_the_support():
    assert isinstance(inputs_for(GREY), Greys)
    assert isinstance(inputs_for(REAL), Reals)
    assert isinstance(inputs_for(GREY).units, Gaussian)
