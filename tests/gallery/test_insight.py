"""What a page says of copying and of likelihood, on made-up numbers with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from genlab.gallery import quality
from genlab.gallery.copying import copying
from genlab.gallery.curves import BOTTOM, HEIGHT, TOP
from genlab.gallery.likely import BINS, histogram
from genlab.gallery.views import QualityView, RunView


def entry(samples: list[float], held_out: list[float], support: str = "levels") -> dict:
    words = {"split": "test", "training": 1000, "support": support}
    return {"samples": samples, "held out": held_out} | words


@pytest.mark.parametrize(
    ("samples", "held_out", "share", "verdict"),
    [
        ([1.0, 2.0] * 5, [1.0, 2.0] * 5, 50, "No sign of copying: these samples lie no nearer to"),
        ([1.0, 1.0] * 5, [2.0, 3.0] * 5, 100, "Samples lie nearer to"),
        ([5.0, 5.0] * 5, [2.0, 3.0] * 5, 0, "No sign of copying: these samples lie further from"),
    ],  # the error: sqrt(21 / 1200)
)
def test_the_share_of_pairs_decides(samples, held_out, share, verdict):
    said = copying(entry(samples, held_out))
    assert f"in {share} ± 13 % of cases" in said.sentence
    assert said.verdict.startswith(verdict)
    assert "No sample equals one of these training data." in said.sentence


@pytest.mark.parametrize(
    ("copies", "of_data", "verdict"),
    [
        (20, 0, "It copies: more samples than test data equal a training datum."),
        (4, 0, "It copies"),  # 1/16 against two errors of sqrt(1/32 · 31/32 / 32)
        (3, 0, "No sign of copying"),
        (20, 20, "No sign of copying"),
    ],
)
def test_copies_are_said_also_where_the_others_lie_far(copies, of_data, verdict):
    samples, data = [0.0] * copies + [8.0] * (64 - copies), [0.0] * of_data + [5.0] * (64 - of_data)
    assert copying(entry(samples, data)).verdict.startswith(verdict)


def test_of_few_samples_nothing_is_said():
    assert copying(entry([0.0], [5.0])).verdict.startswith("There are too few samples to tell")


def test_of_many_training_data_it_is_said_how_many_were_looked_at():
    said = copying(entry([1.0], [1.0]) | {"training": 9000, "looked_at": 800}).sentence
    assert "The nearest of 800 of the 9,000 training data is 1 away" in said


def different(samples: int, held_out: int) -> dict:
    return {"different": {"of": 64, "samples": samples, "held out": held_out}}


@pytest.mark.parametrize(
    ("samples", "held_out", "collapsed"),
    [(1, 60, True), (15, 60, True), (16, 60, False), (64, 60, False)],
)
def test_samples_that_share_their_nearest_training_data_have_collapsed(
    samples, held_out, collapsed
):
    """A quarter of what unseen data have, and then nearness says nothing."""
    found = copying(entry([1.0] * 64, [2.0] * 64) | different(samples, held_out))
    assert bool(found.collapse) == collapsed
    assert found.verdict.startswith(
        "Of samples that are all alike, nearness says nothing"
        if collapsed
        else "Samples lie nearer"
    )
    if samples == 1:
        assert (
            "64 of them share 1 nearest training datum, where 64 test data have 60."
            in found.collapse
        )


def test_a_model_that_draws_one_training_datum_copies_and_has_collapsed():
    found = copying(entry([0.0] * 64, [2.0] * 64) | different(1, 60))
    assert found.collapse
    assert found.verdict.startswith("It copies")
    assert found.certain


@pytest.mark.parametrize("broken", [[], {"samples": 1, "held out": 1}, {"of": 64, "samples": None}])
def test_a_count_of_different_data_that_is_none_is_refused(broken):
    with pytest.raises((KeyError, TypeError)):
        copying(entry([1.0], [1.0]) | {"different": broken})


def test_bits_are_counted_and_copies_named():
    found = copying(entry([0.0, 3**0.5], [1.0, 0.0], "binary"))
    assert found.distances == ("a copy of it", "3 entries differ")
    assert "1 of the 2 samples equals one of these training data, and so does 1 of 2 test" in (
        found.sentence
    )


@pytest.mark.parametrize(
    "broken", [{}, entry([], [1.0]), entry(["x"], [1.0]), entry([1.0], [float("inf")])]
)
def test_what_holds_no_distances_is_refused(broken):
    with pytest.raises((KeyError, ValueError)):
        copying(broken)


ABOUT = {"split": "test", "guarantee": "exact", "measure": "mass", "method": "sum"}


def heights(points: str) -> list[float]:
    """The share in each bin, from the outline's corners."""
    ups = [float(point.split(",")[1]) for point in points.split()][1:-1:2]
    full = HEIGHT - BOTTOM
    return [(full - up) / (full - TOP) for up in ups]


def test_outlines_have_the_shares_of_each_set():
    test = np.repeat([-10.0, -1.0], [30, 10])
    shown = histogram({"test": test, "samples": np.full(5, -10.0)}, ABOUT)
    a, b = (np.asarray(heights(line.points)) for line in shown.lines)
    assert len(a) == BINS
    assert a[a > 0] == pytest.approx([0.75 / 1.05, 0.25 / 1.05], abs=0.005)
    assert b[b > 0] == pytest.approx([1 / 1.05], abs=0.005)
    assert [line.n for line in shown.lines] == [40, 5]
    assert shown.nats == (-10.0,) * 5


def test_a_gap_to_training_data_is_said():
    noise = np.linspace(-1, 1, 100)
    far = histogram({"test": noise - 5, "train": noise, "samples": noise}, ABOUT)
    assert "training data likelier than test data, by 5.00 ± 0.08 nats: by so much it overfits" in (
        far.sentence
    )
    assert "It finds its 100 samples likelier than test data, by 5.00 ± 0.08 nats" in far.sentence
    assert "no exact numbers" not in far.sentence
    near = histogram({"test": noise, "train": noise + 0.01, "samples": noise}, ABOUT)
    assert "Between its 100 samples and test data no difference is seen (0.00 ± 0.08 nats)" in (
        near.sentence
    )
    bound = histogram({"test": noise, "samples": noise}, ABOUT | {"guarantee": "lower bound"})
    assert "no exact numbers" in bound.sentence
    assert "and test data no difference is seen (0.01 ± 0.08 nats)" in near.sentence
    less = histogram({"test": noise, "train": noise - 5}, ABOUT)
    assert "training data less likely than test data, by 5.00 ± 0.08 nats" in less.sentence


def test_one_datum_has_no_error_and_nothing_is_said():
    shown = histogram({"test": np.zeros(1), "train": np.ones(9), "samples": np.ones(1)}, ABOUT)
    assert shown.sentence == ""
    assert [line.mean for line in shown.lines] == ["0.00", "1.00 ± 0.00", "1.00"]


@pytest.mark.parametrize(("measure", "most"), [("mass", "0"), ("density", "0.2")])
def test_a_probability_has_no_logarithm_above_zero(measure, most):
    shown = histogram({"test": np.repeat([-10.0, -0.001], 50)}, ABOUT | {"measure": measure})
    right = shown.lines[0].points.split()[-1].split(",")[0]
    zero = next(tick.at for tick in shown.x_ticks if tick.label == "0")
    assert (float(right) == pytest.approx(zero, abs=0.1)) == (most == "0")


def test_what_lies_beyond_the_axis_is_counted_at_its_end():
    (line,) = histogram({"test": np.repeat([-100.0, 0.0], [1, 9])}, ABOUT).lines
    found = [height for height in heights(line.points) if height]
    assert found == pytest.approx([1 / 9 / 1.05, 1 / 1.05], abs=0.005)


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [[1.0]]])
def test_what_cannot_be_drawn_is_refused(values):
    with pytest.raises(ValueError, match="no finite log-likelihoods"):
        histogram({"test": np.asarray(values)}, ABOUT)


@pytest.mark.parametrize(
    ("z", "says"),
    [
        (
            -3.1,
            "lie nearer to the training data than test data do, as copies would, and as blurred ones do",
        ),
        (
            -2.9,
            "lie a little nearer to the training data than test data do, which chance could explain",
        ),
        (-1.9, "lie no nearer to the training data than test data do: no sign of copying"),
        (3.1, "lie further from the training data than test data do: no sign of copying"),
    ],
)
def test_what_was_measured_of_many_samples_is_said(z, says):
    """Three copies of a thousand, and one among the data, are within two errors."""
    said = quality.copying({"z": z, "copies": 0.003, "copies_held_out": 0.001}, 1000, "test data")
    assert f"1,000 samples {says} (copying z = {z}, chance reaches ± 3)." in said
    assert said.endswith(
        "0.3 % of 1,000 samples equal a training datum, and so do 0.1 % of test data."
    )


def test_copies_among_many_samples_are_said_wherever_the_others_lie():
    said = quality.copying({"z": 4.0, "copies": 0.03, "copies_held_out": 0.0}, 1000, "test data")
    assert said.startswith("It copies: 3 % of 1,000 samples equal a training datum")


def test_where_most_data_equal_a_training_datum_a_few_more_samples_do_by_chance():
    """Of small tables; 1.4 % are 1.95 errors."""
    said = quality.copying({"z": 0.0, "copies": 0.914, "copies_held_out": 0.9}, 3236, "test data")
    assert said.startswith("By a test of distances")


@pytest.mark.parametrize("measured", [{}, {"z": None, "copies": 0.0, "copies_held_out": 0.0}])
def test_nothing_is_said_of_samples_that_were_not_measured(measured):
    assert quality.copying(measured, 1000, "test data") == ""


@pytest.mark.parametrize(
    ("distances", "shares", "measured"),
    [([1.0] * 64, 60, True), ([0.0] * 64, 60, False), ([1.0] * 64, 1, False)],
)
def test_many_samples_say_more_than_few_unless_these_are_copies_or_alike(
    distances, shares, measured
):
    view = RunView("one", "one")
    view.copying = copying(entry(distances, [1.0] * 64) | different(shares, 60))
    view.quality = [QualityView("test", 1000, "as they are", [], [], "", "Of many.")]
    assert view.copies == ("Of many." if measured else view.copying.verdict)
