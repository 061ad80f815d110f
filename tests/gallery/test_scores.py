import csv
import io
import json
from pathlib import Path

import pytest

from genlab.contracts import DataSpec
from genlab.gallery.curves import charts, read_curves
from genlab.gallery.quality import Section
from genlab.gallery.scores import best, compare
from genlab.gallery.sheets import Compared
from genlab.gallery.tables import WRITERS
from genlab.gallery.words import comparison, kind_of_number, number

SPEC = DataSpec("bits", "fixed", (1, 8, 8), "binary")


@pytest.fixture
def groups(make_run, make_score):
    """The groups of four runs, which differ in what may be compared."""
    other = DataSpec("bits", "dynamic", (1, 8, 8), "binary")
    bound = {"guarantee": "lower bound", "method": "ELBO"}
    runs = [
        make_run("worse", scores=(make_score(SPEC, -20.0), make_score(SPEC, -19.5, **bound))),
        make_run("better", scores=(make_score(SPEC, -18.0),)),
        make_run("unsure", scores=(make_score(SPEC, None, reason="a|b <i>"),)),
        make_run("elsewhere", other, (make_score(other, -10.0),)),
    ]
    found, problems = compare([run.path for run in runs])
    assert problems == []
    return found


def test_only_numbers_of_one_kind_share_a_group(groups):
    kinds = [(g.variant, g.guarantee, [row.run for row in g.rows]) for g in groups]
    assert kinds == [
        ("dynamic", "exact", ["elsewhere"]),
        ("fixed", "exact", ["better", "worse", "unsure"]),
        ("fixed", "lower bound", ["worse"]),
    ]


def test_data_of_one_name_that_differ_are_apart(make_run, make_score):
    tall = DataSpec("bits", "fixed", (1, 16, 4), "binary")
    runs = [make_run("a"), make_run("b", tall, (make_score(tall),))]
    assert len(compare([run.path for run in runs])[0]) == 2


def test_unreadable_scores_are_named(make_run):
    run = make_run()
    (run.scores / "test-9.json").write_text("[]")
    groups, problems = compare([run.path])
    assert len(groups) == 1
    assert "test-9.json is unreadable" in problems[0]


def test_a_summary_has_a_table_for_each_data_set_with_one_kind_after_the_other(groups):
    summary = WRITERS["summary"](Compared(groups))
    assert summary.count("**") == 2 * 2, "the fixed and the dynamic variant"
    rows = [line.split(" | ")[1:3] for line in summary.splitlines() if line.startswith("| ")]
    assert rows[rows.index(["NLL (nats)", "log-likelihood"], 1) :] == [
        ["NLL (nats)", "log-likelihood"],
        ["25.20", "exact"],
        ["18.00 ± 0.20", "exact"],
        ["20.00 ± 0.20", "exact"],
        ["no number", "exact"],
        ["≤ 19.50 ± 0.20", "lower bound"],
    ]


def test_every_format_holds_every_score(groups):
    for name, write in WRITERS.items():
        text = write(Compared(groups))
        for number_ in ("18.0", "20.0", "19.5", "10.0"):
            assert number_ in text, name
    assert "a\\|b &lt;i>" in WRITERS["md"](Compared(groups))
    assert "&lt;i&gt;" in WRITERS["html"](Compared(groups))
    assert [len(g["rows"]) for g in json.loads(WRITERS["json"](Compared(groups)))["scores"]] == [
        1,
        3,
        1,
    ]
    rows = list(csv.DictReader(io.StringIO(WRITERS["csv"](Compared(groups)))))
    assert [row["guarantee"] for row in rows] == ["exact"] * 4 + ["lower bound"]


def test_sample_quality_follows_with_its_reference_first():
    column = ("kernel", "{}", "distance")
    rows = {(Path("run"), "run"): {column: None}}
    section = Section("bits", "fixed", "test", 100, "raw", None, {column: -0.001}, rows)
    for name in ("table", "md", "html"):
        text = WRITERS[name](Compared(quality=[section]))
        assert text.index("-0.001") < text.index("–"), name
    (found,) = json.loads(WRITERS["json"](Compared(quality=[section])))["quality"]
    about = {"metric": "kernel", "parameters": {}, "key": "distance"}
    assert found["rows"][0]["values"] == [about | {"value": -0.001}]


def test_the_score_that_can_be_trusted_most_stands_for_the_run(make_score):
    bound = make_score(SPEC, -10.0, guarantee="lower bound")
    exact = make_score(SPEC, -18.0)
    assert best([bound, exact]) is exact
    assert best([bound, make_score(SPEC, None)]) is bound
    assert best([make_score(SPEC, None)]) is None
    window = make_score(SPEC, -19.0, guarantee="estimate")
    parzen = make_score(SPEC, 19.0, guarantee="estimate") | {"floor": None}
    assert best([parzen, window]) is window


@pytest.mark.parametrize(
    ("guarantee", "shown", "told"),
    [
        ("exact", "18.80 ± 0.20", "up to rounding"),
        ("lower bound", "≤ 18.80 ± 0.20", "may be better than it says"),
        ("upper bound", "≥ 18.80 ± 0.20", "may be worse than it says"),
        ("estimate", "≈ 18.80 ± 0.20", "may err to either side"),
    ],
)
def test_each_number_says_what_kind_it_is(make_score, guarantee, shown, told):
    nats = make_score(SPEC, guarantee=guarantee)["nats"]
    assert number(nats) == shown
    assert told in kind_of_number(nats, 297)


def test_estimates_of_different_estimators_are_apart(make_run, make_score):
    window, flow = (
        make_score(SPEC, guarantee="estimate", method=name) | {"likelihood": {"name": name}}
        for name in ("window", "flow")
    )
    found, _ = compare([make_run(scores=(window, flow)).path])
    assert [(g.estimator, len(g.rows)) for g in found] == [("flow", 1), ("window", 1)]


def test_estimates_with_different_settings_are_apart(make_run, make_score):
    """10,000 training images in a Parzen window score 119 nats more than 1,000 of them."""
    window = make_score(SPEC, guarantee="estimate", method="window")
    few, many = (
        window | {"likelihood": {"name": "window", "parameters": {"n": n}}} for n in (10, 100)
    )
    found, _ = compare([make_run(scores=(few, many)).path, make_run("two", scores=(many,)).path])
    assert sorted(len(g.rows) for g in found) == [1, 2]


def test_a_bracket_is_shown_and_said(make_run, make_score):
    """Nats that may be 0.5 lower or 0.1 higher are an nll of 17.9 to 18.5, not the other way round."""
    bracket = {"low": -0.5, "high": 0.1, "two_sided": True}
    annealed = make_score(SPEC, -18.0, guarantee="upper bound", bracket=bracket, shared=[-0.2, 0.2])
    (group,), _ = compare([make_run(scores=(annealed,)).path])
    assert "≥ 18.00 ± 0.20 [17.90, 18.50]" in WRITERS["md"](Compared([group])).replace("\\", "")
    assert "between 17.90 and 18.50 nats (two bounds)" in kind_of_number(annealed["nats"], 297)
    one_sided = annealed["nats"] | {"bracket": None}
    assert "between 17.80 and 18.20 nats (its 95 % intervals)" in kind_of_number(one_sided, 297)


def test_another_precision_or_seed_is_said(make_run, make_score):
    score = make_score(SPEC)
    half = score | {"likelihood": {"name": "exact", "precision": "bf16-mixed", "seed": 0}}
    again = score | {"likelihood": {"name": "exact", "precision": "32-true", "seed": 5}}
    (group,), _ = compare([make_run(scores=(half, again)).path])
    method = score["nats"]["method"]
    assert {row.method for row in group.rows} == {f"{method}, bf16-mixed", f"{method}, seed 5"}


def test_references_stand_beside_a_number(make_run, make_score):
    beside = {"reference: training images": 243.8, "n": 10}
    parzen = make_score(SPEC, 200.0, guarantee="estimate", diagnostics=beside)
    groups, _ = compare([make_run(scores=(parzen,)).path])
    for write in WRITERS.values():
        assert "243.8" in write(Compared(groups))
    assert "training images score -243.80" in kind_of_number(parzen["nats"], 297)


def test_a_reference_that_is_no_number_is_left_out(make_run, make_score):
    beside = {"reference: training images": None, "reference: k-means centroids": 2.0}
    parzen = make_score(SPEC, None, reason="a NaN", guarantee="estimate", diagnostics=beside)
    (group,), _ = compare([make_run(scores=(parzen,)).path])
    assert group.rows[0].references == {"k-means centroids": -2.0}


def test_a_bound_bounds_the_gain_over_the_floor(make_score):
    assert comparison(make_score(SPEC, guarantee="lower bound")).startswith(
        "at least 6.40 nats better"
    )
    assert comparison(make_score(SPEC, guarantee="upper bound")).startswith(
        "at most 6.40 nats better"
    )
    assert comparison(make_score(SPEC, -30.0, guarantee="lower bound")).startswith(
        "at most 4.80 nats w"
    )
    assert comparison(make_score(SPEC)).startswith("6.40 nats better")


def test_curves_become_charts(tmp_path):
    rows = ["stage,epoch,step,name,value"]
    for step in range(1, 101):
        loss = 1e6 if step < 3 else 20 + 1 / step
        rows += [f"fit,0,{step},loss,{loss}", f"fit,0,{step},val/nll,{21 + 1 / step}"]
        rows += [f"fit,0,{step},val/mse,0.01", f"fit,0,{step},lr,0.001", f"fit,0,{step},val/odd,"]
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(rows))
    first, second = charts(read_curves(path)["fit"])
    assert [line.name for line in first.lines] == ["loss", "val/nll"]
    assert first.y_label == "nats per datum"
    assert "2 early points" in first.note
    assert [line.name for line in second.lines] == ["val/mse"]
    assert [tick.label for tick in first.x_ticks] == ["0", "50", "100"]


def test_a_single_point_is_a_chart():
    (chart,) = charts({"loss": [(1.0, 2.0)]})
    assert chart.lines[0].last == "2"


def test_a_model_that_was_solved_has_no_chart():
    assert charts({"val/nll": [(0.0, 2.0)]}) == []


def test_independent_entries_are_no_better_than_themselves(make_score):
    same = make_score(SPEC) | {"floor": {"nats": make_score(SPEC)["nats"]["mean"] - 1e-8}}
    assert comparison(same).startswith("no better than independent entries")
