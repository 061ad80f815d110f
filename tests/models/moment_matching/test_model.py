"""GMMN against quadrature over its noise, and what each support makes of a network's numbers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import genlab
from genlab.contracts import (
    Batch,
    DataSpec,
    Guarantee,
    HasImportanceWeights,
    Images,
    Plane,
    Support,
    UsageError,
)
from genlab.likelihood import ImportanceWeighted
from genlab.models.moment_matching import gmmn
from genlab.models.moment_matching.model import require_pairs
from genlab.models.moment_matching.outputs import Bits, Levels
from genlab.nn.mmd import EnergyDistance, GaussianKernel, mmd2
from genlab.randomness import generator, scope
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from tests.training.small import Bits as FourBits

BITS = DataSpec("bits", "fixed", (1, 2, 2), Support.BINARY)
GREYS = DataSpec("greys", "5 levels", (1, 2, 2), Support.LEVELS, levels=5)
PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)
SPECS = pytest.mark.parametrize("spec", [BITS, GREYS, PLANE], ids=lambda spec: spec.name)


def far_from_uniform(spec: DataSpec, **options):
    """A network with large random weights: its distribution is anything but flat."""
    with scope("far from uniform"):
        model = gmmn(spec, **({"noise": 1, "hidden": (20,)} | options))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=1.5)
    return model.eval()


@pytest.fixture(scope="module")
def states() -> Tensor:
    """All 16 data of four bits."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).view(16, 1, 2, 2)


def probabilities(model, states: Tensor, nodes: int = 20_000) -> Tensor:
    """(16,) p(x) by the midpoint rule over the only noise, in float64."""
    z = ((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes * 2 - 1)[:, None]
    with torch.no_grad():
        p = model.double().generator(z).sigmoid()
        model.float()
    each = torch.where(states.flatten(1)[:, None].bool(), p, 1 - p).prod(2)
    return each.mean(1)


# ------------------------------------------------------------------------------------ bits have weights


def test_only_bits_have_importance_weights():
    assert isinstance(gmmn(BITS), HasImportanceWeights)
    assert not isinstance(gmmn(GREYS), HasImportanceWeights)
    assert not isinstance(gmmn(PLANE), HasImportanceWeights)


def test_weights_have_the_probability_as_mean(states):
    model = far_from_uniform(BITS)
    p = probabilities(model, states)
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    assert p.max() > 0.15
    w = model.log_weights(states, 100_000, generator=generator("weights")).double().exp()
    error = w.std(1).mean() / math.sqrt(100_000) + w.std(0) / math.sqrt(100_000)
    assert ((w.mean(0) - p).abs() < 4 * error).all()


def test_samples_have_the_same_probabilities(states):
    model = far_from_uniform(BITS)
    p = probabilities(model, states)
    x = model.sample(50_000, generator=generator("samples")).flatten(1)
    which = (x.long() * 2 ** torch.arange(3, -1, -1)).sum(1)
    share = torch.bincount(which, minlength=16) / len(x)
    assert ((share - p).abs() < 4 * (p / len(x)).sqrt() + 1e-4).all()


def test_the_same_draws_serve_all_data_of_a_call(states):
    """So each draw's weights are a distribution over the data, and equal data have equal weights."""
    model = far_from_uniform(BITS)
    w = model.log_weights(states, 50, generator=generator("weights"))
    assert torch.allclose(w.double().exp().sum(1), torch.ones(50, dtype=torch.float64), atol=1e-5)
    twice = model.log_weights(torch.cat([states, states]), 50, generator=generator("weights"))
    assert torch.equal(twice[:, :16], twice[:, 16:])
    assert torch.allclose(twice[:, :16], w)


def test_the_bound_says_where_its_draws_come_from(states):
    model = far_from_uniform(BITS)
    log_p = probabilities(model, states).log()
    likelihood = ImportanceWeighted(model, k=20)
    bounds = [likelihood(states, generator=generator("bound", i)) for i in range(200)]
    nats = torch.stack([bound.nats for bound in bounds])
    assert bounds[0].guarantee is Guarantee.LOWER_BOUND
    assert "proposal: prior, the same draws" in bounds[0].method
    assert (nats.mean(0) < log_p + 4 * nats.std(0) / math.sqrt(200)).all()
    assert nats.mean() < log_p.mean() - 0.01


def test_drawn_bits_pass_their_gradient_to_the_probabilities():
    theta = torch.linspace(-2, 2, 40).view(10, 4).requires_grad_()
    with scope("bits"):
        x = Bits().matched(theta)
    assert set(x.detach().round(decimals=6).unique().tolist()) == {0.0, 1.0}
    weight = torch.arange(40.0).view(10, 4)
    (found,) = torch.autograd.grad((weight * x).sum(), theta)
    (expected,) = torch.autograd.grad((weight * theta.sigmoid()).sum(), theta)
    assert torch.equal(found, expected)


# ----------------------------------------------------------------------------------- levels and reals


def test_greys_are_rounded_to_the_nearest_level():
    model = far_from_uniform(GREYS)
    x = model.sample(200, generator=generator("greys"))
    mean = model.output.mean(model.theta(200, generator("greys")))
    assert GREYS.contains(x)
    assert len(x.unique()) == 5
    assert ((x - mean).abs() <= 1 / 8 + 1e-6).all()
    assert torch.equal(Levels(5).matched(torch.zeros(3)), torch.full((3,), 0.5))


def test_points_are_the_network_itself():
    model = far_from_uniform(PLANE, noise=3)
    x = model.sample(50, generator=generator("points"))
    z = torch.rand(50, 3, generator=generator("points")) * 2 - 1
    assert torch.equal(x, model.generator(z))


@SPECS
def test_noise_is_uniform_between_minus_one_and_one(spec):
    z = gmmn(spec, noise=4).draw_noise(20_000, generator("noise"))
    assert z.shape == (20_000, 4)
    assert z.min() >= -1
    assert z.max() <= 1
    assert z.mean(0).abs().max() < 4 / math.sqrt(3 * 20_000)
    assert z.var(0).sub(1 / 3).abs().max() < 0.01


# -------------------------------------------------------------------------------------------- matching


def some_data(spec: DataSpec, n: int) -> Tensor:
    x = torch.rand(n, *spec.shape, generator=generator("data"))
    if spec.levels is None:
        return 3 * x + 2
    return (x * (spec.levels - 1)).round() / (spec.levels - 1)


@SPECS
def test_it_starts_where_the_data_are(spec):
    model, x = gmmn(spec, hidden=(16,)), some_data(spec, 500)
    torch.nn.init.zeros_(model.generator[-1].weight)
    model.begin(Batch(x))
    mean = model.output.mean(model.theta(3, generator("start")))
    torch.testing.assert_close(mean[0], x.mean(0), atol=2e-3, rtol=0)
    assert model.mmd.kernel.unit.item() > 0
    assert model.mmd.kernel.unit.item() != 1.0


@SPECS
def test_the_loss_is_the_root_of_the_biased_statistic(spec):
    kernel = GaussianKernel((1.0,))
    model, x = gmmn(spec, hidden=(16,), kernel=kernel), some_data(spec, 30)
    with scope("loss"):
        loss = model.loss(Batch(x)).item()
    with scope("loss"):
        codes = model.codes(model.draw_noise(30))
    assert loss == pytest.approx(mmd2(codes, x.flatten(1), kernel).sqrt().item(), rel=1e-5)


@SPECS
def test_the_validation_values_have_the_unbiased_statistic_as_mean(spec):
    model, x = gmmn(spec, hidden=(16,)), some_data(spec, 30)
    with scope("validate"):
        each = model.stages()[0].validate(Batch(x))["mmd2"]
    with scope("validate"):
        codes = model.codes(model.draw_noise(1000))
    assert each.shape == (30,)
    whole = mmd2(codes, x.flatten(1), model.mmd.kernel, unbiased=True).item()
    assert each.mean().item() == pytest.approx(whole, abs=1e-6)


def test_a_datum_left_over_is_not_validated_and_stops_nothing(tmp_path):
    """64 validation data in batches of 9 leave one."""
    data = FourBits(batch_size=9)
    model = gmmn(data.spec, hidden=(4,))
    stage = replace(model.stages()[0], max_epochs=1)
    settings = TrainerSettings(accelerator="cpu")
    judged = fit(model, data, [stage], RunDirectory(tmp_path), settings, seed=0)
    assert judged is not None
    assert judged.name == "val/mmd2"
    assert judged.value is not None


@SPECS
def test_a_datum_does_not_see_its_batch(spec):
    """No batch normalisation: the numbers of one noise are the same alone and among others."""
    model = gmmn(spec, hidden=(16, 16)).train()
    z = model.draw_noise(8, generator("noise"))
    torch.testing.assert_close(model.theta_of(z)[3:4], model.theta_of(z[3:4]))
    assert not any("running" in name for name, _ in model.named_buffers())


# ------------------------------------------------------------------------------------ figures, bad input


def test_figures_show_the_way_between_samples():
    (figure,) = far_from_uniform(GREYS).figures(
        Batch(some_data(GREYS, 8)), generator=generator("f")
    )
    assert isinstance(figure.content, Images)
    assert figure.content.pixels.shape == (8, 12, 1, 2, 2)
    (figure,) = far_from_uniform(PLANE).figures(
        Batch(some_data(PLANE, 8)), generator=generator("f")
    )
    assert isinstance(figure.content, Plane)
    assert figure.animated
    flat = DataSpec("row", "", (4,), Support.BINARY)
    assert not list(gmmn(flat).figures(Batch(torch.zeros(2, 4)), generator=generator("f")))


@pytest.mark.parametrize("options", [{"noise": 0}, {"hidden": (5, 0)}])
def test_refuses_options_out_of_range(options):
    with pytest.raises(UsageError, match=f"^{min(options)}=.* at least 1"):
        gmmn(BITS, **options)


def test_refuses_a_batch_too_small_for_the_unbiased_statistic():
    model = gmmn(GREYS, unbiased=True, kernel=EnergyDistance())
    with pytest.raises(UsageError, match=r"data\.batch_size"):
        model.loss(Batch(some_data(GREYS, 1)))


def test_labels_are_refused():
    model = gmmn(BITS)
    label = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(UsageError, match="leave label out"):
        model.sample(2, label=label, generator=generator("a"))
    with pytest.raises(UsageError, match="leave label out"):
        model.log_weights(torch.zeros(2, 1, 2, 2), 3, label=label, generator=generator("a"))


@pytest.mark.parametrize(
    ("n", "world", "batch_size"),
    [
        (200, 1, 199),
        (200, 1, 1),
        (202, 2, 50),  # 101 each
        (201, 2, 100),  # 101 and 100
        (201, 2, 33),  # 100 = 3 × 33 + 1 for the second process
    ],
)
def test_a_batch_of_one_is_seen_before_training(n, world, batch_size):
    with pytest.raises(UsageError, match=f"batch_size={batch_size} .* 1 of the {n} validation"):
        require_pairs(n, world, batch_size, "validation")


@pytest.mark.parametrize(("n", "world", "batch_size"), [(200, 1, 100), (200, 1, 198), (200, 2, 50)])
def test_batches_of_two_or_more_are_taken(n, world, batch_size):
    require_pairs(n, world, batch_size, "validation")


def test_a_batch_of_one_is_refused_before_the_first_stage(tmp_path):
    words = ["model=gmmn_ae", "data=digits", "data.batch_size=433", "gallery=false", "evaluate=[]"]
    with pytest.raises(UsageError, match="433 makes a batch of 1 of the 1300 training data"):
        genlab.train(*words, "model.unbiased=true", f"folder={tmp_path}")
    assert not list(tmp_path.glob("*/checkpoints/*/last.ckpt"))
