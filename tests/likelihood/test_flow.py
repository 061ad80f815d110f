"""The probability flow against closed forms, automatic differentiation and enumeration."""

from __future__ import annotations

import copy
import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

import genlab
from genlab.contracts import (
    Batch,
    DataSpec,
    GenerativeModel,
    GenlabError,
    Guarantee,
    HasVelocity,
    Measure,
    Support,
    UsageError,
)
from genlab.data.toys import eight_gaussians
from genlab.likelihood import ProbabilityFlow
from genlab.likelihood.flow import divergence, signs
from genlab.models.diffusion import Cosine, Denoiser, Dense, Diffusion, LogLinear
from genlab.models.diffusion.reverse import Moments
from genlab.models.made import MADE
from genlab.nn.unet import UNet
from genlab.randomness import generator, scope
from genlab.training import TrainerSettings


class Transport(GenerativeModel, HasVelocity):
    """A velocity over [0, 1] on reals, from data as they are to N(0, I)."""

    def __init__(self, size: int = 1, span: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__(DataSpec("reals", "", (size,), Support.REAL))
        self.span = span
        self.eval()

    def velocity(self, z, t, label=None):
        raise NotImplementedError

    def embed(self, x, *, generator):
        return x, x.new_zeros(len(x))

    def base_log_prob(self, z):
        return -(z.square() + math.log(2 * math.pi)).sum(1) / 2

    def loss(self, batch):
        raise NotImplementedError

    def sample(self, n, *, label=None, generator):
        raise NotImplementedError


class VariancePreserving(Transport):
    """Data N(0, s²) under dz = -½ β z dt + √β dW, β(t) = 0.1 + 19.9 t; the score is -z / v(t)."""

    def __init__(self, s2: float) -> None:
        super().__init__(span=(1e-5, 1.0))
        self.s2 = s2

    def velocity(self, z, t, label=None):
        integral = 0.1 * t + 19.9 * t**2 / 2
        v = self.s2 * math.exp(-integral) - math.expm1(-integral)
        return -(0.1 + 19.9 * t) / 2 * z * (1 - 1 / v)


class Nonlinear(Transport):
    """A velocity whose Jacobian is full and differs from point to point."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.mix = torch.randn(size, size, dtype=torch.float64, generator=generator("mix"))

    def velocity(self, z, t, label=None):
        return (z @ self.mix.to(z)).sin() * (1 + t) + 0.3 * z.square()


def nats(model, x, **options):
    return ProbabilityFlow(model, **options)(x, generator=generator("flow")).nats


# Solvers

# Errors of log p in bits at x = 0.7 s, measured elsewhere. The 2.9e-4 that stands there beside RK4 is that
# of the classical method; the 3/8 rule errs less here, by what is derived below.
SOLVER_ERRORS = [
    (0.25, "euler", 10, 1.7e-2),
    (0.25, "euler", 100, 4.2e-3),
    (0.25, "euler", 1000, 4.3e-4),
    (0.25, "heun", 10, -1.4e-2),
    (0.25, "heun", 100, -1.7e-4),
    (0.25, "heun", 1000, -1.5e-5),
    (0.01, "heun", 10, -0.47),
    (0.01, "heun", 100, -3e-3),
    (0.01, "heun", 1000, -8e-5),
    (0.25, "rk4", 10, -5.6e-5),
]


def solver_error(s2: float, **options) -> float:
    """Bits by which the flow is above log N(x; 0, s²) at x = 0.7 s."""
    x = torch.full((1, 1), 0.7 * math.sqrt(s2), dtype=torch.float64)
    exact = -(math.log(2 * math.pi * s2) + 0.49) / 2
    return (nats(VariancePreserving(s2), x, **options).item() - exact) / math.log(2)


@pytest.mark.parametrize(("s2", "solver", "steps", "bits"), SOLVER_ERRORS)
def test_solvers_err_by_what_is_known(s2, solver, steps, bits):
    assert solver_error(s2, solver=solver, steps=steps) == pytest.approx(bits, rel=0.1)


def runge_kutta(model: VariancePreserving, steps: int, nodes, matrix, weights) -> float:
    """Error in bits, as above, of an explicit Runge-Kutta method given by its Butcher tableau."""
    z, total = 0.7 * math.sqrt(model.s2), 0.0
    rate = lambda t: float(model.velocity(torch.ones(1, dtype=torch.float64), t))  # noqa: E731
    h = (model.span[1] - model.span[0]) / steps
    for i in range(steps):
        t, slopes = model.span[0] + i * h, []
        for c, row in zip(nodes, matrix, strict=True):
            inner = z + h * sum(a * k for a, k in zip(row, slopes, strict=False))
            slopes.append(rate(t + c * h) * inner)
        z += h * sum(b * k for b, k in zip(weights, slopes, strict=True))
        total += h * sum(b * rate(t + c * h) for b, c in zip(weights, nodes, strict=True))
    log_p = -(math.log(2 * math.pi) + z**2) / 2 + total
    return (log_p + (math.log(2 * math.pi * model.s2) + 0.49) / 2) / math.log(2)


CLASSICAL = (
    [0, 1 / 2, 1 / 2, 1],
    [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
    [1 / 6, 1 / 3, 1 / 3, 1 / 6],
)
THREE_EIGHTHS = (
    [0, 1 / 3, 2 / 3, 1],
    [[], [1 / 3], [-1 / 3, 1], [1, -1, 1]],
    [1 / 8, 3 / 8, 3 / 8, 1 / 8],
)


def test_rk4_is_the_three_eighths_rule_and_not_the_classical_one():
    model = VariancePreserving(0.25)
    assert runge_kutta(model, 10, *CLASSICAL) == pytest.approx(2.9e-4, rel=0.05)
    three_eighths = runge_kutta(model, 10, *THREE_EIGHTHS)
    assert solver_error(0.25, solver="rk4", steps=10) == pytest.approx(three_eighths, abs=1e-9)


@pytest.mark.parametrize("solver", ["euler", "heun", "rk4", "dopri5"])
def test_data_that_are_noise_already_do_not_move(solver):
    steps = {} if solver == "dopri5" else {"steps": 10}
    assert abs(solver_error(1.0, solver=solver, **steps)) < 1e-12


@pytest.mark.parametrize("solver", ["dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun"])
def test_adaptive_solvers_meet_their_tolerance(solver):
    """All but -1.3e-5 bits, the noise at the start of the span, and a multiple of what is tolerated."""
    error = solver_error(0.25, solver=solver, rtol=1e-6, atol=1e-6)
    assert error == pytest.approx(-1.3e-5, abs=5e-5)


def test_every_row_meets_the_tolerance_whatever_its_batch():
    """One row in a thousand is steep; averaged over the batch its error would be tolerated."""
    x = torch.zeros(1000, 2, dtype=torch.float64)
    x[0] = torch.tensor([1.5, -2.0])
    model = Nonlinear(2)
    exact = nats(model, x[:1], rtol=1e-10, atol=1e-10)
    assert (nats(model, x, rtol=1e-5, atol=1e-5)[0] - exact).abs() < 1e-4


def test_fixed_steps_do_not_couple_rows():
    x = torch.randn(8, 3, generator=generator("rows"))
    model = Nonlinear(3)
    together = nats(model, x, solver="rk4", steps=10)
    alone = torch.cat([nats(model, row[None], solver="rk4", steps=10) for row in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_velocity_without_end_is_an_error_that_says_what_to_do():
    class Exploding(Transport):
        def velocity(self, z, t, label=None):
            return z.square()

    x = torch.full((1, 1), 3.0)  # 1 / (1/3 - t) is infinite at t = 1/3
    with pytest.raises(GenlabError, match=r"dopri5 found no step.*solver=rk4"):
        nats(Exploding(), x)


# The divergence


@pytest.mark.parametrize("size", [1, 5])
def test_exact_trace_is_that_of_the_jacobian(size):
    model = Nonlinear(size)
    z = torch.randn(4, size, dtype=torch.float64, generator=generator("z"))
    v, trace = divergence(lambda y: model.velocity(y, 0.3), z, None)
    jacobians = [torch.autograd.functional.jacobian(lambda y: model.velocity(y, 0.3), r) for r in z]
    torch.testing.assert_close(trace, torch.stack([j.trace() for j in jacobians]))
    torch.testing.assert_close(v, model.velocity(z, 0.3))
    assert not v.requires_grad
    assert not trace.requires_grad


def test_exact_trace_of_a_network_of_images():
    with scope("network"):
        net = UNet((1, 4, 4), channels=(8, 16)).eval()
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    z = torch.randn(2, 1, 4, 4, generator=generator("z"))
    field = lambda y: net(y, torch.zeros(len(y))).squeeze(-1)  # noqa: E731
    _, trace = divergence(field, z, None)
    for row, found in zip(z, trace, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda y: field(y[None])[0], row)
        assert jacobian.reshape(16, 16).trace().item() == pytest.approx(found.item(), rel=1e-4)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_hutchinson_is_unbiased():
    model = Nonlinear(5)
    z = torch.randn(1, 5, dtype=torch.float64, generator=generator("z"))
    _, exact = divergence(lambda y: model.velocity(y, 0.3), z, None)
    many = z.expand(5000, 5)
    probes = signs(1, many, generator("probes"))
    assert set(probes.unique().tolist()) == {-1.0, 1.0}
    _, each = divergence(lambda y: model.velocity(y, 0.3), many, probes)
    error = each.std().item() / math.sqrt(len(each))
    assert error > 0.01
    assert each.mean().item() == pytest.approx(exact.item(), abs=4 * error)
    _, mean = divergence(lambda y: model.velocity(y, 0.3), z, signs(5000, z, generator("probes")))
    assert mean.item() == pytest.approx(exact.item(), abs=4 * error)


def test_hutchinson_is_exact_where_the_jacobian_is_diagonal_and_unbiased_along_a_trajectory():
    assert solver_error(0.25, solver="rk4", steps=10, exact_up_to=0) == solver_error(
        0.25, solver="rk4", steps=10
    )
    model, x = Nonlinear(4), torch.full((1, 4), 0.2, dtype=torch.float64)
    exact = nats(model, x, solver="rk4", steps=10).item()
    options = {"solver": "rk4", "steps": 10, "exact_up_to": 3}
    each = nats(model, x.expand(4000, 4), **options)
    error = each.std().item() / math.sqrt(len(each))
    assert each.mean().item() == pytest.approx(exact, abs=4 * error)
    fewer = nats(model, x.expand(4000, 4), probes=8, **options).std().item()
    assert fewer == pytest.approx(each.std().item() / math.sqrt(8), rel=0.1)


def test_the_same_probe_serves_a_whole_trajectory():
    """Drawn anew, it would make the integrand noise, and the estimate depend on the number of steps."""
    x = torch.full((1, 4), 0.2, dtype=torch.float64)
    options = {"solver": "rk4", "exact_up_to": 0}
    coarse, fine = (nats(Nonlinear(4), x, steps=n, **options).item() for n in (20, 40))
    assert coarse == pytest.approx(fine, abs=1e-3)


def test_a_velocity_that_is_constant_in_z_has_no_divergence():
    class Drift(Transport):
        def __init__(self):
            super().__init__()
            self.drift = torch.nn.Parameter(torch.tensor([2.0]))

        def velocity(self, z, t, label=None):
            return self.drift.expand_as(z)

    x = torch.tensor([[1.0]])
    expected = -(9 + math.log(2 * math.pi)) / 2
    assert nats(Drift(), x).item() == pytest.approx(expected, rel=1e-6)


# Diffusion


class Optimal(torch.nn.Module):
    """x̂ of x ~ N(m, v) given z = α x + σ ε."""

    def __init__(self, m: float, v: float) -> None:
        super().__init__()
        self.m, self.v = m, v

    def forward(self, z, log_snr):
        a, s2 = torch.sigmoid(log_snr).sqrt().to(z), torch.sigmoid(-log_snr).to(z)
        gain = a * self.v / (a**2 * self.v + s2)
        return Moments(self.m + gain * (z - a * self.m), z.new_zeros(()))


def gaussian(m: float, v: float, ends: tuple[float, float], schedule=LogLinear) -> Diffusion:
    spec = DataSpec("gaussian", "", (2,), Support.REAL)
    return Diffusion(spec, partial(schedule, *ends), lambda spec: Optimal(m, v)).eval()


@pytest.mark.parametrize("schedule", [LogLinear, Cosine])
@pytest.mark.parametrize(("m", "v"), [(0.0, 1.0), (0.5, 0.25), (-2.0, 3.0)])
def test_the_flow_of_an_optimal_denoiser_is_the_density_of_the_data(m, v, schedule):
    """With almost no noise at one end of the schedule, and almost nothing else at the other."""
    model = gaussian(m, v, (18.0, -18.0), schedule)
    x = m + v**0.5 * torch.randn(64, 2, generator=generator("data"))
    result = ProbabilityFlow(model, rtol=1e-7, atol=1e-7)(x, generator=generator("unused"))
    exact = torch.distributions.Normal(m, v**0.5).log_prob(x.double()).sum(1)
    assert (result.guarantee, result.measure) == (Guarantee.ESTIMATE, Measure.DENSITY)
    assert result.nats.dtype is torch.float64
    torch.testing.assert_close(result.nats, exact, atol=1e-3, rtol=0)


def test_ends_that_lose_much_are_those_of_the_closed_form():
    """The flow of N(αm, α²v + σ²) is linear; its ends are the smoothed data and N(0, 1)."""
    m, v, ends = 0.5, 0.25, (3.0, -1.0)
    (a, total), (a_end, total_end) = (
        (math.sqrt(p), p * v + 1 - p) for p in (1 / (1 + math.exp(-end)) for end in ends)
    )
    x = torch.tensor([[0.3, -1.0], [0.5, 2.0]], dtype=torch.float64)
    ratio = math.sqrt(total_end / total)
    end = a_end * m + ratio * (a * x - a * m)
    exact = (torch.distributions.Normal(0, 1).log_prob(end) + math.log(ratio * a)).sum(1)
    found = nats(gaussian(m, v, ends), x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, exact, atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def plane():
    """A diffusion of eight Gaussians, trained for some seconds."""
    x = eight_gaussians(4000, generator("plane"))[0] / 2
    spec = DataSpec("plane", "", (2,), Support.REAL)
    with scope("plane"):
        model = Diffusion(spec, denoiser=partial(Denoiser, network=partial(Dense, hidden=(64, 64))))
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for rows in torch.randint(len(x), (500, 200)):
            optimizer.zero_grad()
            model.loss(Batch(x[rows])).backward()
            optimizer.step()
        model.zero_grad()
    return model.eval()


def test_the_flow_of_a_trained_diffusion_integrates_to_one(plane):
    axis = (torch.arange(100) + 0.5) * 0.08 - 4
    grid = torch.cartesian_prod(axis, axis)
    p = nats(plane, grid, solver="rk4", steps=40).exp()
    assert p.sum().item() * 0.08**2 == pytest.approx(1, abs=0.01)
    assert p.max() > 0.1
    assert all(parameter.grad is None for parameter in plane.parameters())


def test_networks_are_evaluated_in_full_precision_under_autocast(plane):
    x = torch.randn(8, 2, generator=generator("x"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = nats(plane, x, solver="rk4", steps=10)
    double = nats(copy.deepcopy(plane).double(), x.double(), solver="rk4", steps=10)
    torch.testing.assert_close(mixed, double, atol=1e-4, rtol=0)


def test_networks_are_evaluated_without_tf32(plane, monkeypatch):
    """Convolutions on a GPU are in TF32 by default, whose rounding a tolerance of 1e-5 would see."""
    seen, velocity = set(), plane.velocity

    def watched(*args):
        seen.add((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return velocity(*args)

    monkeypatch.setattr(plane, "velocity", watched)
    nats(plane, torch.zeros(2, 2), solver="rk4", steps=1)
    assert seen == {("highest", False)}


LEVELS = DataSpec("corners", "5 levels", (1, 2, 2), Support.LEVELS, 5)


@pytest.fixture(scope="module")
def independent():
    """A diffusion whose network says 0, all 625 data and their probabilities with independent entries."""
    states = torch.tensor(list(itertools.product(range(5), repeat=4))) / 4
    states = states.view(-1, 1, 2, 2)
    weights = states.flatten(1) @ torch.tensor([1.0, -2.0, 0.5, 3.0])
    train = states[torch.multinomial(weights.exp(), 3000, True, generator=generator("train"))]
    with scope("independent"):
        model = Diffusion(LEVELS, denoiser=partial(Denoiser, network=partial(Dense, hidden=(8,))))
    model.denoiser.begin(Batch(train))
    marginal = model.denoiser.prior.log_marginal.expand(len(states), 1, 2, 2, 5)
    log_p = model.denoiser.prior.head.log_prob(states, marginal).flatten(1).sum(1)
    return model.eval(), states, log_p.double()


def test_the_flow_starts_at_the_independent_model(independent):
    """exp(nats) has no bias, so log p is below in the mean over draws, and the sum over all data is one."""
    model, states, log_p = independent
    flow, p = ProbabilityFlow(model, solver="rk4", steps=50), log_p.exp()
    runs = torch.stack([flow(states, generator=generator("runs", r)).nats for r in range(4)])
    assert runs.exp().mean(0).sum().item() == pytest.approx(1, abs=3e-3)
    assert -0.01 < ((runs - log_p) @ p).mean().item() < 0.001
    combined = runs.logsumexp(0) - math.log(4)
    assert ((combined - log_p).abs() @ p).item() < 0.05
    assert p.max() > 0.01  # far from uniform, 0.0016


def test_samples_are_combined_by_log_mean_exp(independent):
    model, states, _ = independent
    x, options = states[::50], {"solver": "rk4", "steps": 10}
    noise = generator("same noise")
    each = [ProbabilityFlow(model, **options)(x, generator=noise).nats for _ in range(3)]
    together = ProbabilityFlow(model, samples=3, **options)(x, generator=generator("same noise"))
    assert torch.equal(together.nats, torch.stack(each).logsumexp(0) - math.log(3))
    assert together.diagnostics["K"] == 3
    assert together.diagnostics["NFE"].tolist() == [120.0] * len(x)
    assert together.measure is Measure.MASS
    assert (each[0] - each[1]).abs().max() > 1e-3


# Units


class Quantised(Transport):
    """A Gaussian density of (v + u) / 256 · width + low, of which v in 0 … 255 is the integral."""

    def __init__(self, low: float, width: float, mean, factor) -> None:
        super().__init__(3)
        self.spec = DataSpec("greys", "256 levels", (3,), Support.LEVELS, 256)
        self.low, self.width = low, width
        mean, factor = low + width * mean, width * factor
        self.density = torch.distributions.MultivariateNormal(mean, scale_tril=factor)

    def embed(self, x, *, generator):
        u = torch.rand(x.shape, generator=generator, dtype=torch.float64)
        z = self.low + self.width * ((x.double() * 255).round() + u) / 256
        return z, z.new_full((len(x),), 3 * math.log(self.width / 256))

    def velocity(self, z, t, label=None):
        return torch.zeros_like(z)

    def base_log_prob(self, z):
        return self.density.log_prob(z)


def test_bits_per_dimension_do_not_depend_on_the_scale_of_the_density():
    """bits/dim = -log2 p / D + 8 on [0, 1], + 7 on [-1, 1], + log2(256 / a) on any interval of width a."""
    draw = generator("units")
    mean = torch.rand(3, dtype=torch.float64, generator=draw)
    factor = torch.rand(3, 3, dtype=torch.float64, generator=draw).tril() + torch.eye(3)
    x = torch.randint(256, (50, 3), generator=draw) / 255
    intervals = {8: (0.0, 1.0), 7: (-1.0, 2.0), 8 - math.log2(0.37): (4.2, 0.37)}
    found = []
    for bits, (low, width) in intervals.items():
        model = Quantised(low, width, mean, factor)
        found.append(-nats(model, x) / (3 * math.log(2)))
        z, _ = model.embed(x, generator=generator("flow"))
        by_hand = -model.base_log_prob(z) / (3 * math.log(2)) + bits
        torch.testing.assert_close(found[-1], by_hand, atol=1e-6, rtol=0)
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=1e-6, rtol=0)


# The contract


def test_what_was_done_is_said(plane, independent):
    model, states, _ = independent
    assert ProbabilityFlow(plane, samples=5).settings == {
        "solver": "dopri5",
        "rtol": 1e-5,
        "atol": 1e-5,
        "trace": "exact",
        "samples": 1,  # reals are embedded exactly
    }
    flow = ProbabilityFlow(model, "heun", steps=7, samples=2, probes=3, exact_up_to=3)
    assert flow.settings == {"solver": "heun", "steps": 7, "probes": 3, "samples": 2}
    result = flow(states[:4], generator=generator("said"))
    assert result.method == "probability flow, heun, 7 steps, Hutchinson trace, 3 probes, K=2"
    assert result.diagnostics["probes"] == 3
    assert result.diagnostics["NFE"].tolist() == [28.0] * 4
    assert (
        "exact trace" in ProbabilityFlow(plane)(torch.zeros(2, 2), generator=generator("a")).method
    )


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "rk45"},
        {"steps": 0},
        {"probes": 0},
        {"samples": 0},
        {"rtol": 0.0},
        {"atol": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        ProbabilityFlow(Nonlinear(2), **options)


def test_steps_of_an_adaptive_solver_are_refused():
    with pytest.raises(UsageError, match=r"likelihood\.steps=50 is for euler, heun, rk4"):
        ProbabilityFlow(Nonlinear(2), steps=50)


def test_a_model_without_a_velocity_is_refused():
    with pytest.raises(UsageError, match=r"HasVelocity, which MADE on .* lacks: likelihood=exact"):
        ProbabilityFlow(MADE(DataSpec("bits", "", (4,), Support.BINARY)))


def test_a_model_in_training_is_refused():
    model = Nonlinear(2).train()
    with pytest.raises(UsageError, match="eval mode"):
        nats(model, torch.zeros(1, 2))


def test_a_run_scores_the_same_on_two_processes(tmp_path):
    words = ["model=diffusion", "data=toy2d", "data.n=1000", "stages.fit.max_epochs=1"]
    run = genlab.train(*words, f"folder={tmp_path}", "evaluate=[]", "gallery=false")
    node = {"_target_": "genlab.likelihood.ProbabilityFlow", "solver": "dopri5", "rtol": 1e-3}
    found = []
    for settings in ({}, {"strategy": "ddp_fork", "devices": 2}):
        trainer = TrainerSettings(accelerator="cpu", **settings)
        run.evaluate("test", likelihood=node, settings=trainer)
        (file,) = run.directory.scores.glob("test-flow-*.npz")
        found.append(np.load(file)["nats"])
    assert len(found[0]) == 200
    assert np.array_equal(*found)
