"""The kernel window: a distribution of its own, its width from validation data alone, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity

from genlab.contracts import DataError, GenlabError, Guarantee, Measure, Support, UsageError
from genlab.likelihood import KernelWindow, auto, evaluate
from genlab.likelihood.bandwidth import choose_width, default_widths, validation_rows
from genlab.likelihood.kernels import BitFlip, Gaussian
from genlab.randomness import generator
from genlab.sampling import draw
from genlab.testing.spaces import SMALL, space_of
from genlab.training import TrainerSettings
from tests.likelihood.memory import Given, Memory, bits, greys, random, reals

NOISE = torch.Generator().manual_seed(0)


def prepared(model: Memory, data: Given, **settings) -> KernelWindow:
    window = KernelWindow(model, **settings)
    window.prepare(data, generator=generator("prepare", 0))
    return window


@pytest.mark.parametrize(
    "spec", [SMALL[Support.BINARY][2], SMALL[Support.LEVELS][0], SMALL[Support.REAL][0]], ids=str
)
def test_the_smoothed_model_sums_to_one(spec):
    """Over every state (or a fine grid of the plane) of a model that knows 200 data."""
    space = space_of(spec)
    x, _ = space.draw(600, torch.Generator().manual_seed(1))
    data = Given(spec, train=x[:200], val=x[200:])
    window = prepared(Memory(spec, x[:200]), data, n=500)
    result = window(space.states, generator=NOISE)
    assert space.masses(result.nats).sum().item() == pytest.approx(1, abs=space.tolerance)
    assert result.guarantee is Guarantee.ESTIMATE
    assert result.measure is Measure.of(spec)


def test_number_is_the_one_of_scikit_learn_at_its_own_best_width():
    spec = reals(2)
    x = random(2, 700, spec)
    window = prepared(Memory(spec, x[:300]), Given(spec, val=x[300:600]), n=250, rows=300)
    samples, width = window.samples.double().numpy(), float(window.width)
    theirs = KernelDensity(bandwidth=width, leaf_size=300).fit(samples)
    nats = window(x[600:], generator=NOISE).nats
    expected = theirs.score_samples(x[600:].double().numpy())
    assert np.abs(nats.numpy() - expected).max() < 1e-9


def test_width_is_the_best_of_all_on_validation_data():
    """By brute force, each width by itself, with nothing of genlab."""
    s, x = random(3, 80, reals(3)), random(4, 120, reals(3))
    widths = [0.1, 0.2, 0.3, 0.45, 0.6, 0.9, 1.3]
    distance = (x[:, None] - s).double().square().sum(2)
    means = [(-distance / (2 * w * w)).logsumexp(1).mean() - 3 * math.log(w) for w in widths]
    assert choose_width(Gaussian(s), x, widths, "samples") == widths[int(np.argmax(means))]


def test_width_is_chosen_on_no_other_data():
    """Validation data are bits with noise, test data without: the window is wide."""
    spec = bits(12)
    x = random(5, 5, spec)
    rows = x[torch.randint(5, (400,), generator=torch.Generator().manual_seed(6))]
    flips = (torch.rand(400, 12, generator=torch.Generator().manual_seed(7)) < 0.2).float()
    data = Given(spec, train=rows, val=(rows - flips).abs(), test=rows)
    assert float(prepared(Memory(spec, x), data, n=1000).width) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("widths", "edge"), [((0.5, 0.7, 0.9), "0.5"), ((0.01, 0.02, 0.05), "0.05")]
)
def test_width_at_the_edge_of_its_grid_is_refused(widths, edge):
    s, x = random(8, 200, reals(2)), random(9, 200, reals(2))
    with pytest.raises(UsageError, match=rf"the width {edge}, .* extend likelihood\.widths"):
        choose_width(Gaussian(s), x, widths, "samples")


def test_samples_do_not_depend_on_what_is_scored():
    """The same generator gives the same samples: those of the sampler for a seed of its own."""
    spec = bits(10)
    x = random(10, 300, spec)
    model, data = Memory(spec, x), Given(spec, val=random(11, 100, spec))
    one, other = (prepared(model, data, n=100, widths=(0.1, 0.4, 0.5)) for _ in range(2))
    assert torch.equal(one.samples, other.samples)
    stream = generator("prepare", 0)
    seed = int(torch.randint(2**62, (), generator=stream))
    assert torch.equal(one.samples, draw(model, 100, seed=seed))


def test_validation_rows_are_spread_over_the_split():
    """A split may be sorted by class."""
    data = Given(reals(1), val=torch.arange(10.0)[:, None])
    assert validation_rows(data, 5, "window").flatten().tolist() == [0, 2, 4, 6, 8]
    assert len(validation_rows(data, 50, "window")) == 10


@pytest.mark.parametrize("splits", [{}, {"val": torch.zeros(0, 4)}])
def test_no_validation_split_is_refused(splits):
    with pytest.raises(UsageError, match="bits has none: give the data a split val"):
        validation_rows(Given(bits(4), **splits), 10, "window")


def test_validation_datum_that_is_not_finite_is_named():
    x = random(12, 40, reals(2))
    x[30, 1] = math.nan
    with pytest.raises(DataError, match="row 30 of the validation data is not finite"):
        validation_rows(Given(reals(2), val=x), 20, "window")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n": 0}, r"^n=0 must be at least 1"),
        ({"rows": -3}, r"^rows=-3 must be at least 1"),
        ({"widths": (0.1, 0.2)}, "three or more increasing numbers in"),
        ({"widths": (0.1, 0.3, 0.2)}, "three or more increasing"),
        ({"widths": (0.1, 0.3, 0.7)}, r"in \(0, 0\.5\]"),
        ({"widths": (0.0, 0.1, 0.2)}, r"in \(0, 0\.5\]"),
        ({"widths": (0.1, math.nan, 0.2)}, "three or more increasing"),
    ],
)
def test_settings_are_checked_when_it_is_built(settings, says):
    with pytest.raises(UsageError, match=says):
        KernelWindow(Memory(bits(4), random(0, 5, bits(4))), **settings)


def test_samples_outside_the_support_are_refused():
    spec = greys(4, 5)
    model = Memory(spec, torch.full((3, 4), 0.3))
    with pytest.raises(GenlabError, match="outside LEVELS data"):
        prepared(model, Given(spec, val=random(0, 9, spec)), n=10)


def test_more_samples_than_memory_holds_are_refused():
    spec = bits(1000)
    model = Memory(spec, random(0, 3, spec))
    with pytest.raises(UsageError, match=r"set of 10000000000 samples.*lower likelihood\.n"):
        prepared(model, Given(spec, val=random(0, 9, spec)), n=10**10)


def test_labels_are_refused():
    spec = bits(4)
    window = KernelWindow(Memory(spec, random(0, 5, spec)))
    with pytest.raises(UsageError, match="leave label out"):
        window(random(0, 2, spec), label=torch.zeros(2).long(), generator=NOISE)


def test_a_model_with_nothing_but_samples_gets_the_window():
    spec = bits(4)
    assert auto(Memory(spec, random(0, 5, spec))).name == "window"


@pytest.mark.parametrize("support", list(Support))
def test_default_grids_increase_and_are_fine(support):
    widths = default_widths(support)
    steps = np.diff(np.log(widths))
    assert 0 < steps.min() <= steps.max() < 0.3


def test_settings_are_all_that_decides_its_numbers():
    window = KernelWindow(Memory(bits(4), random(0, 5, bits(4))), n=7, widths=(0.1, 0.2, 0.3))
    assert window.settings == {"n": 7, "widths": [0.1, 0.2, 0.3], "rows": 1000}


def test_the_same_on_one_and_two_processes(tmp_path):
    """Samples and width are made on the first process only; the second gets them."""
    spec = bits(30)
    x = random(13, 20, spec)
    flips = (torch.rand(20, 20, 30, generator=torch.Generator().manual_seed(1)) < 0.1).float()
    noisy = (x - flips).abs().flatten(0, 1)
    data = Given(spec, train=x, val=noisy[:200], test=noisy[200:])
    found = {}
    for devices, strategy in ((1, "auto"), (2, "ddp_fork")):
        path = tmp_path / f"{devices}.npy"
        settings = TrainerSettings(accelerator="cpu", devices=devices, strategy=strategy)
        model = Memory(spec, x)
        evaluate(
            model,
            KernelWindow(model, n=500),
            data,
            "test",
            settings.trainer([]),
            seed=3,
            write=lambda scored, path=path: np.save(path, scored.nats),
        )
        found[devices] = np.load(path)
    assert len(found[1]) == 200
    assert np.array_equal(found[1], found[2])


def test_bits_at_the_best_width_are_better_than_no_smoothing_at_all():
    """The bit-flip window of the true distribution's samples comes near its entropy from above."""
    p = torch.tensor([0.05, 0.5, 0.9, 0.3])
    stream = torch.Generator().manual_seed(14)
    x = (torch.rand(6000, 4, generator=stream) < p).float()
    width = choose_width(BitFlip(x[:4000]), x[4000:], default_widths(Support.BINARY), "samples")
    nats = BitFlip(x[:4000]).log_mixture(x[4000:], [width]).mean().item()
    entropy = -(p.xlogy(p) + (1 - p).xlogy(1 - p)).sum().item()
    assert nats == pytest.approx(-entropy, abs=0.05)
