"""Runs beside others on the same data: verdicts that follow from numbers of different kinds."""

from __future__ import annotations

import pytest

from genlab.contracts import DataSpec
from genlab.gallery.beside import verdict
from genlab.gallery.page import build
from genlab.gallery.view import score_view
from genlab.gallery.words import limits

SPEC = DataSpec("bits", "fixed", (1, 8, 8), "binary")
EXACT, AT_MOST, AT_LEAST, ABOUT = "exact", "lower bound", "upper bound", "estimate"
OPEN, ESTIMATED = "undecided (a bound)", "undecided (an estimate)"


@pytest.fixture
def said(make_score):
    """said(own, other): of one number beside another, each (nll, guarantee, …)."""

    def view(nll, guarantee, **nats):
        words = {"guarantee": guarantee, "stderr": 0.3, **nats}
        return score_view(make_score(SPEC, -nll, **words))

    def said(own, other):
        views = [view(nll, guarantee, **dict(*more)) for nll, guarantee, *more in (own, other)]
        return verdict(*views)

    return said


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ((90.0, EXACT), (92.0, EXACT), "better"),
        ((92.0, EXACT), (90.0, EXACT), "worse"),
        ((90.0, EXACT), (90.8, EXACT), "no difference seen"),  # two errors: 2 · 0.3 · √2 = 0.85
        ((90.0, EXACT), (90.9, EXACT), "better"),
        ((91.5, AT_MOST), (155.4, AT_LEAST), "better"),
        ((155.4, AT_LEAST), (91.5, AT_MOST), "worse"),
        ((91.5, AT_LEAST), (155.4, AT_MOST), OPEN),
        ((90.0, AT_MOST), (92.0, AT_MOST), OPEN),
        ((90.0, EXACT), (92.0, AT_MOST), OPEN),
        ((92.0, EXACT), (90.0, AT_MOST), "worse"),
        ((90.0, EXACT), (92.0, AT_LEAST), "better"),
        ((92.0, EXACT), (90.0, AT_LEAST), OPEN),
        ((90.0, ABOUT), (200.0, EXACT), ESTIMATED),
        ((90.0, EXACT), (200.0, ABOUT), ESTIMATED),
    ],
)
def test_better_is_said_where_nothing_else_is_possible(said, own, other, expected):
    assert said(own, other) == expected


def test_an_error_that_all_data_share_counts(said):
    """At least 91.0, but by the noise of log Z perhaps 90.5."""
    noisy = (91.0, AT_LEAST, {"shared": [-0.5, 0.5]})
    assert said((90.1, EXACT), (91.0, AT_LEAST)) == "better"
    assert said((90.1, EXACT), noisy) == OPEN


def test_the_mean_of_one_datum_has_no_error_and_says_nothing(said):
    assert said((90.0, EXACT, {"stderr": None}), (95.0, EXACT)) == "undecided (no error is known)"


def test_no_number_says_nothing():
    assert limits({"mean": None, "guarantee": "exact"}) == (-float("inf"), float("inf"))


def test_others_of_the_same_data_stand_on_the_page(make_run, make_score, tmp_path):
    far = DataSpec("other bits", "fixed", (1, 8, 8), "binary")
    density = make_score(SPEC, -1.0, measure="density")
    runs = [
        make_run("mine", scores=(make_score(SPEC, -90.0),)),
        make_run("better", scores=(make_score(SPEC, -80.0),)),
        make_run("elsewhere", far, (make_score(far, -70.0),)),
        make_run("another", scores=(density,)),
        make_run("unscored", scores=()),
    ]
    out = build([run.path for run in runs], tmp_path / "out").parent
    pages = {run.path.name: (out / run.path.name / "index.html").read_text() for run in runs}
    title = "Beside other models of the same data"
    assert [name for name, page in pages.items() if title in page] == ["mine", "better"]
    rows = pages["mine"].split(title)[1].split("<tbody>")[1].split("</tbody>")[0].split("</tr>")
    assert ["worse" in rows[0], "../better/index.html" in rows[0]] == [True, True]
    assert "(this run)" in rows[1]
