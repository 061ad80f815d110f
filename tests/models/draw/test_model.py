"""DRAW against a plain auto-encoder, and against sums over all data and integrals over all codes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Support, UnsupportedData, UsageError
from genlab.likelihood import ImportanceWeighted
from genlab.models.draw import DRAW
from genlab.testing.statistics import g_test

BITS = DataSpec("bits", "", (1, 2, 2), Support.BINARY)
GREYS = DataSpec("greys", "", (3, 4, 6), Support.LEVELS, 8)
FLAT = DataSpec("flat", "", (5,), Support.BINARY)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(spec: DataSpec = BITS, **options) -> DRAW:
    """With weights that are no longer those of the beginning."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DRAW(spec, **{"glimpses": 2, "hidden": 7, "latent": 1, **options}).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        torch.nn.init.constant_(
            model.posterior.bias, 0.2
        )  # wider than the prior, so that weights are bounded
    return model.eval().requires_grad_(False)


def every_datum() -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).view(16, 1, 2, 2).double()


# ------------------------------------------------------------------------------- against known answers


def test_one_glimpse_without_windows_is_a_plain_auto_encoder():
    """Written out here with nothing but matrices: gates of both LSTMs start from zero states."""
    model = small(FLAT, glimpses=1, hidden=6, latent=3)
    x = (torch.rand(10, 5, generator=seeded()) < 0.5).double()
    noise = torch.randn(10, 3, generator=seeded(1), dtype=torch.float64)

    def gated(cell: torch.nn.LSTMCell, given: Tensor) -> Tensor:
        numbers = given @ cell.weight_ih.T + cell.bias_ih + cell.bias_hh
        enter, _, new, leave = numbers.chunk(4, dim=1)
        return leave.sigmoid() * (enter.sigmoid() * new.tanh()).tanh()

    blank = model.canvas.squeeze(-1)
    seen = torch.cat([x, x - blank.sigmoid(), torch.zeros(10, 6).double()], dim=1)
    code = gated(model.encoder, seen) @ model.posterior.weight.T + model.posterior.bias
    mean, log_sigma = code[:, :3], code[:, 3:]
    z = mean + log_sigma.exp() * noise
    logits = blank + gated(model.decoder, z) @ model.write.paint.weight.T + model.write.paint.bias
    p = logits.sigmoid()
    reconstruction = (x * p.log() + (1 - x) * (1 - p).log()).sum(1)
    divergence = ((2 * log_sigma).exp() + mean**2 - 1 - 2 * log_sigma).sum(1) / 2

    found, divergences = model._terms(x, lambda _: noise)
    torch.testing.assert_close(found, reconstruction)
    torch.testing.assert_close(divergences[0], divergence)


def exact(model: DRAW, points: int = 200, end: float = 10.0) -> Tensor:
    """(16,) p(x) of every datum, by a sum over a grid of both codes of one number each."""
    grid = torch.linspace(-end, end, points, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)
    codes = iter([z[:, :1], z[:, 1:]])
    log_p = torch.zeros(len(z), dtype=torch.float64)
    canvas = model.canvas
    for glimpse in model.imagine(len(z), lambda _: next(codes)):
        log_p += glimpse.p.log_prob(glimpse.z)
        canvas = glimpse.canvas
    x = every_datum().unsqueeze(1)
    logits = canvas.squeeze(-1).unsqueeze(0)
    log_x = (x * logits - torch.nn.functional.softplus(logits)).flatten(2).sum(2)
    cell = 2 * math.log(2 * end / (points - 1))
    return (log_x + log_p + cell).logsumexp(1).exp()


KINDS = [{}, {"autoregressive": True}, {"read": 2, "write": 1}, {"read": 1, "write": 2}]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_weights_have_the_probability_as_their_mean(options):
    model = small(**options)
    p = exact(model)
    assert p.sum().item() == pytest.approx(1.0, abs=1e-6)
    w = model.log_weights(every_datum(), 40_000, generator=seeded()).exp()
    assert ((w.mean(0) - p).abs() < 4.5 * w.std(0) / len(w) ** 0.5).all()


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_samples_are_as_frequent_as_they_are_probable(options):
    model = small(**options)
    bits = model.sample(20_000, generator=seeded()).flatten(1).long()
    counts = (bits @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert g_test(counts, exact(model)) > 1e-3


def test_the_bound_is_below_the_probability_and_the_mean_of_its_draws():
    model = small()
    x = every_datum().repeat(2000, 1, 1, 1)
    nats = model.log_likelihood(x, generator=seeded()).nats.view(2000, 16)
    log_p = exact(model).log()
    assert (nats.mean(0) < log_p).all()
    log_w = model.log_weights(every_datum(), 20_000, generator=seeded(1))
    error = (nats.var(0) / 2000 + log_w.var(0) / 20_000).sqrt()
    assert ((nats.mean(0) - log_w.mean(0)).abs() < 4.5 * error).all()


def test_more_weights_make_a_tighter_bound():
    model = small()
    bounds = [
        ImportanceWeighted(model, k=k)(every_datum().repeat(200, 1, 1, 1), generator=seeded())
        .nats.view(200, 16)
        .mean()
        for k in (1, 5, 50)
    ]
    assert bounds == sorted(bounds)
    assert bounds[-1] - bounds[0] > 0.01


# ------------------------------------------------------------------------------------------- training


def test_the_first_canvas_shows_the_marginals():
    model = DRAW(BITS)
    x = (torch.rand(1000, 1, 2, 2, generator=seeded()) < 0.3).float()
    model.begin(Batch(x, None, None))
    torch.testing.assert_close(model.shown(model.canvas), (x.sum(0) + 0.5) / 1001)


def test_free_bits_and_warm_up_change_the_loss_as_they_say():
    x = every_datum()
    plain, free, warm = small(), small(free_bits=0.7), small(warm_up=10)
    with torch.random.fork_rng():
        losses = []
        for model in (plain, free, warm):
            torch.manual_seed(3)
            losses.append(float(model.loss(Batch(x, None, None))))
        torch.manual_seed(3)
        reconstruction, divergences = plain._terms(x, torch.randn_like)
    each = divergences.mean(1)
    assert losses[0] == pytest.approx(float(each.sum() - reconstruction.mean()))
    assert losses[1] == pytest.approx(float(each.clamp(min=0.7).sum() - reconstruction.mean()))
    assert losses[2] == pytest.approx(losses[0]), "outside of training the weight is one"


@pytest.mark.parametrize("options", [{}, {"read": 2, "write": 3, "autoregressive": True}], ids=str)
def test_every_parameter_gets_a_gradient(options):
    model = small(GREYS, **options).requires_grad_(True)
    x = torch.rand(6, 3, 4, 6, generator=seeded(), dtype=torch.float64).mul(7).round() / 7
    model.loss(Batch(x, None, None)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_colours_share_a_window():
    model = small(GREYS, read=2, write=3)
    x = torch.rand(2, 3, 4, 6, generator=seeded(), dtype=torch.float64).mul(7).round() / 7
    first, *_ = model.look(x, torch.zeros_like)
    assert first.read is not None
    assert first.read.read(x).shape == (2, 3, 2, 2)
    assert first.canvas.shape == (2, 3, 4, 6, 3)


# ------------------------------------------------------------------------------------------ bad input


def test_windows_need_images():
    with pytest.raises(UnsupportedData, match="a window looks at images; flat is none"):
        DRAW(FLAT, read=2)


@pytest.mark.parametrize("name", ["read", "write"])
def test_windows_of_more_filters_than_pixels_are_refused(name):
    DRAW(GREYS, **{name: 6})
    with pytest.raises(UsageError, match=f"^{name}=7 is a window of more filters than .* 4x6"):
        DRAW(GREYS, **{name: 7})


@pytest.mark.parametrize("name", ["glimpses", "hidden", "latent", "read", "write"])
def test_counts_of_nothing_are_refused(name):
    with pytest.raises(UsageError, match=f"^{name}=0 must be at least 1"):
        DRAW(BITS, **{name: 0})
