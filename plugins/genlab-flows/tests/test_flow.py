"""Flows against quadrature, automatic differentiation and distributions that are known."""

from __future__ import annotations

import itertools
import math
import re
from functools import partial

import pytest
import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Guarantee, Measure, Support, UsageError
from genlab.randomness import generator, scope
from genlab.testing import assert_conforms
from genlab_flows import Flow

PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)
BITS = DataSpec("bits", "fixed", (1, 1, 2), Support.BINARY)
GREYS = DataSpec("greys", "3 levels", (2,), Support.LEVELS, levels=3)
KINDS = [pytest.param({"bins": None}, id="maf"), pytest.param({"bins": 8}, id="nsf")]
COUPLINGS = [
    pytest.param({"bins": None, "passes": 2}, id="maf coupling"),
    pytest.param({"bins": 8, "passes": 2}, id="nsf coupling"),
    pytest.param({"bins": 8, "passes": 9}, id="more passes than numbers"),
]
UNUSED = generator("unused")


def far_from_normal(spec: DataSpec, **options) -> Flow:
    """Large random weights: a density that is anything but normal."""
    with scope("far from normal"):
        model = Flow(spec, **({"hidden": (16,), "transforms": 2} | options))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def grid(reach: float, n: int) -> tuple[Tensor, float]:
    """(n², 2) midpoints of the squares of [-reach, reach]², and the area of each."""
    step = 2 * reach / n
    axis = (torch.arange(n) + 0.5) * step - reach
    return torch.cartesian_prod(axis, axis), step**2


def every_datum(spec: DataSpec) -> Tensor:
    assert spec.levels is not None
    states = itertools.product(range(spec.levels), repeat=spec.size)
    return torch.tensor(list(states)).float().div(spec.levels - 1).view(-1, *spec.shape)


def cell_masses(model: Flow, n: int = 150) -> Tensor:
    """(S,) float64: p(y) integrated over the cell of each datum, at n × n midpoints in each."""
    levels = model.spec.levels
    edges = torch.distributions.Normal(0, 1).icdf(torch.arange(levels + 1).double() / levels)
    edges = edges.clamp(-9, 9)
    step = edges.diff() / n
    axis = (edges[:-1, None] + (torch.arange(n) + 0.5) * step[:, None]).flatten().float()
    p = model.log_density(torch.cartesian_prod(axis, axis)).double().exp()
    sums = p.view(levels, n, levels, n).sum((1, 3))
    return (sums * step[:, None] * step).flatten()


def test_conforms():
    assert_conforms(partial(Flow, hidden=(16,), transforms=1), draws=10_000)


@pytest.mark.parametrize("spec", [PLANE, BITS, GREYS], ids=["real", "bits", "levels"])
def test_conforms_with_splines(spec):
    build = partial(Flow, hidden=(16,), transforms=1, bins=8)
    assert_conforms(build, spec=spec, draws=10_000, train_steps=400)


# ------------------------------------------------------------------------------------------ real data


@pytest.mark.parametrize("options", KINDS)
@torch.no_grad()
def test_density_integrates_to_one_and_its_samples_have_its_entropy(options):
    model = far_from_normal(PLANE, **options)
    x, area = grid(12.0, 600)
    result = model.log_likelihood(x, generator=UNUSED)
    assert (result.guarantee, result.measure) == (Guarantee.EXACT, Measure.DENSITY)
    log_p = result.nats.double()
    assert (log_p.exp().sum() * area).item() == pytest.approx(1, abs=2e-3)
    entropy = -(log_p.exp() * log_p).sum() * area
    drawn = model.log_likelihood(model.sample(20_000, generator=generator("x")), generator=UNUSED)
    error = drawn.nats.std() / math.sqrt(20_000)
    assert abs(-drawn.nats.mean() - entropy) < 4 * error + 0.01


@pytest.mark.parametrize("options", [*KINDS, *COUPLINGS])
def test_density_has_the_jacobian_of_automatic_differentiation(options):
    model = far_from_normal(DataSpec("five", "", (5,), Support.REAL), **options)
    for x in 2 * torch.randn(5, 1, 5, generator=generator("points")):
        jacobian = torch.autograd.functional.jacobian(lambda v: model.encode(v)[0], x)[:, 0]
        normal = torch.distributions.Normal(0, 1).log_prob(model.encode(x)).sum()
        expected = normal + jacobian.slogdet().logabsdet
        nats = model.log_likelihood(x, generator=UNUSED).nats[0]
        torch.testing.assert_close(nats, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", KINDS)
@torch.no_grad()
def test_a_datum_comes_back_from_its_noise(options):
    for spec in (PLANE, DataSpec("image", "", (1, 3, 2), Support.REAL)):
        model = far_from_normal(spec, **options)
        x = torch.randn(100, *spec.shape, generator=generator("data"))
        torch.testing.assert_close(model.decode(model.encode(x)), x, atol=1e-3, rtol=1e-3)
    for spec in (BITS, GREYS):
        model, x = far_from_normal(spec, **options), every_datum(spec)
        assert torch.equal(model.decode(model.encode(x)), x)


def test_weights_of_real_data_are_the_density():
    model, x = far_from_normal(PLANE), torch.randn(3, 2, generator=generator("data"))
    nats = model.log_likelihood(x, generator=UNUSED).nats
    assert torch.equal(model.log_weights(x, 4, generator=UNUSED), nats.expand(4, 3))


# -------------------------------------------------------------------------------------- bits and levels


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("levels", [2, 3, 256])
def test_identity_is_the_uniform_distribution(options, levels):
    """The constants: each of the levels^D data has the probability levels^-D, at every draw."""
    spec = DataSpec("levels", "", (3,), Support.LEVELS, levels=levels)
    model = Flow(spec, transforms=2, **options)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randint(levels, (50, 3), generator=generator("data")) / (levels - 1)
    nats = model.log_likelihood(x, generator=generator("draws")).nats
    torch.testing.assert_close(nats, torch.full((50,), -3 * math.log(levels)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("spec", [BITS, GREYS], ids=["bits", "levels"])
@torch.no_grad()
def test_weights_are_cell_volumes_on_average_and_the_bound_is_below(options, spec):
    model, x = far_from_normal(spec, **options), every_datum(spec)
    exact = cell_masses(model)
    assert exact.sum().item() == pytest.approx(1, abs=2e-3)
    log_w = model.log_weights(x, 5_000, generator=generator("weights")).double()
    mean, error = log_w.exp().mean(0), log_w.exp().std(0) / math.sqrt(5_000)
    assert ((mean - exact).abs() < 5 * error + 1e-4).all()
    assert (log_w.mean(0) < exact.log()).all()
    result = model.log_likelihood(x, generator=generator("one"))
    assert (result.guarantee, result.measure) == (Guarantee.LOWER_BOUND, Measure.MASS)


@pytest.mark.parametrize("options", KINDS)
@torch.no_grad()
def test_samples_of_levels_follow_the_cell_volumes(options):
    model = far_from_normal(GREYS, **options)
    x = model.sample(20_000, generator=generator("samples"))
    assert GREYS.contains(x)
    which = (x * 2).round().long() @ torch.tensor([3, 1])
    share = torch.bincount(which, minlength=9) / len(x)
    assert (share - cell_masses(model)).abs().max() < 0.015


def test_bound_of_a_known_table_is_below_its_entropy_and_near_it():
    table = torch.tensor([0.4, 0.1, 0.05, 0.45], dtype=torch.float64)
    entropy = -(table * table.log()).sum().item()
    with scope("table"):
        model = Flow(BITS, transforms=2, hidden=(32,), bins=8)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(300):
            x = every_datum(BITS)[torch.multinomial(table, 256, replacement=True)]
            optimizer.zero_grad()
            model.loss(Batch(x)).backward()
            optimizer.step()
    with torch.no_grad():
        log_w = model.log_weights(every_datum(BITS), 5000, generator=generator("table")).double()
    bound = log_w.mean(0) @ table
    assert -entropy - 0.05 < bound < -entropy


# ----------------------------------------------------------------------------------------- the rest


def test_autocast_changes_no_number():
    model, x = far_from_normal(PLANE, bins=8), torch.randn(50, 2, generator=generator("data"))
    z, nats = model.encode(x), model.log_likelihood(x, generator=UNUSED).nats
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.encode(x), z)
        assert torch.equal(model.log_likelihood(x, generator=UNUSED).nats, nats)


@pytest.mark.parametrize("options", COUPLINGS)
def test_coupling_inverts_in_two_passes(options):
    spec = DataSpec("eight", "", (8,), Support.REAL)
    model, x = far_from_normal(spec, **options), torch.randn(9, 8, generator=generator("data"))
    torch.testing.assert_close(model.decode(model.encode(x)), x, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("passes", "seen"), [(None, 7 + 6 + 5 + 4 + 3 + 2 + 1), (2, 4 * 4)])
def test_passes_say_which_entries_see_which(passes, seen):
    """In one for each number every entry sees those before it, in two one half the other."""
    spec = DataSpec("eight", "", (8,), Support.REAL)
    model = far_from_normal(spec, transforms=1, hidden=(64, 64), passes=passes)
    x = torch.randn(1, 8, generator=generator("point"))
    jacobian = torch.autograd.functional.jacobian(lambda v: model.encode(v)[0], x)[:, 0]
    assert int((jacobian != 0).sum()) == 8 + seen


def test_options_are_the_sizes_of_the_networks():
    """A spline of b bins has b widths, b heights and b - 1 slopes for each of two entries."""
    shapes = [tuple(p.shape) for p in Flow(PLANE, 2, (5, 7), bins=4).parameters() if p.dim() == 2]
    assert shapes == 2 * [(5, 2), (7, 5), (2 * 11, 7)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transforms": 0}, "model.transforms=0 must be at least 1"),
        ({"hidden": (16, 0)}, "model.hidden=0 must be at least 1"),
        ({"bins": 1}, "model.bins=1 must be at least 2"),  # one bin is the identity
        ({"passes": 1}, "model.passes=1 must be at least 2"),  # no entry would see another
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        Flow(PLANE, **options)


def test_labels_are_refused():
    label = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(UsageError, match="not conditioned on labels"):
        Flow(PLANE).sample(2, label=label, generator=UNUSED)
    with pytest.raises(UsageError, match="not conditioned on labels"):
        Flow(PLANE).log_likelihood(torch.zeros(2, 2), label=label, generator=UNUSED)
