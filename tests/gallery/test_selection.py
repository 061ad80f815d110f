"""What select tried, as a table and a figure."""

from __future__ import annotations

import itertools
import re

import pytest

from genlab.cli.main import main
from genlab.gallery.page import build
from genlab.gallery.selection import as_text, figure, read_selection, table

DEPTHS, STARTS = (2, 3, 4, 7), ("pretrained", "random", "relu")


def entry(value: float | None, **values) -> dict:
    found = {"values": values, "validation": value}
    return found | ({"name": "val/error"} if value is not None else {"reason": "the loss is nan"})


def selected(*entries: dict, of: int | None = None) -> dict:
    """A record, complete unless there are to be more candidates."""
    finite = [e for e in entries if e["validation"] is not None]
    chosen = None if of else min(finite, key=lambda e: e["validation"])["values"]
    return {"selection": {"of": of or len(entries), "chosen": chosen, "candidates": list(entries)}}


def grid() -> dict:
    """The random start diverges at depth 3."""
    cells = itertools.product(DEPTHS, STARTS)
    values = [0.015, 0.019, 0.014, 0.0145, None, 0.0138, 0.012, 0.5, 0.013, 0.0125, 0.887, 0.011]
    return selected(*(entry(v, depth=d, start=s) for (d, s), v in zip(cells, values, strict=True)))


def read(record: dict):
    found = read_selection(record)
    assert found is not None
    return found


def test_a_run_without_a_choice_has_no_selection():
    assert read_selection({}) is None
    assert read_selection({"selection": None}) is None


def test_two_keys_cross_each_other():
    assert as_text(read(grid())) == [
        "depth  start=pretrained  start=random  start=relu",
        "2               0.01500       0.01900     0.01400",
        "3               0.01450      diverged     0.01380",
        "4               0.01200        0.5000     0.01300",
        "7               0.01250        0.8870   * 0.01100",
        "* chosen",
        "depth=3 start=random: the loss is nan",
    ]


def test_one_key_stands_beside_its_value():
    lines = as_text(read(selected(entry(100.25, lr=0.1), entry(99.0, lr=0.01))))
    assert lines == ["lr    val/error", "0.1       100.2", "0.01    * 99.00", "* chosen"]


def test_more_than_two_keys_are_a_list_without_a_figure():
    found = read(selected(entry(0.5, a=1, b=[3, 2], c="x"), entry(0.25, a=2, b=[4, 4, 4], c="y")))
    assert [cell.text for cell in table(found).rows[0]] == ["1", "3-2", "x", "0.5000"]
    assert [cell.text for cell in table(found).rows[1]] == ["2", "4 × 3", "y", "0.2500"]
    assert figure(found) is None


def test_the_figure_has_a_line_for_each_value_of_the_second_key():
    drawn = figure(read(grid()))
    assert [line.name for line in drawn.lines] == [f"start={s}" for s in STARTS]
    assert [tick.label for tick in drawn.x_ticks] == ["2", "3", "4", "7"]
    gaps = [b.at - a.at for a, b in itertools.pairwise(drawn.x_ticks)]
    assert gaps[2] == pytest.approx(3 * gaps[0], abs=0.5), "numbers stand at their places"
    assert drawn.note == "Logarithmic: val/error. × diverged. Ringed: the chosen one."


def test_what_diverged_is_marked_and_cuts_its_line():
    drawn = figure(read(grid()))
    assert [len(line.segments) for line in drawn.lines] == [1, 2, 1]
    (crossed,) = (mark for mark in drawn.marks if mark.diverged)
    assert crossed.title == "depth=3 start=random: the loss is nan"
    assert crossed.y < min(mark.y for mark in drawn.marks if not mark.diverged)
    (ringed,) = (mark for mark in drawn.marks if mark.chosen)
    assert ringed.title == "depth=7 start=relu: val/error 0.01100"
    assert ringed.y == max(mark.y for mark in drawn.marks), "the lowest value is the lowest mark"


def test_words_and_lists_stand_side_by_side_in_their_order():
    stacks = [[500], [500, 500], [1000, 500, 250, 30]]
    found = read(selected(*(entry(90.0 - i, hidden=h) for i, h in enumerate(stacks))))
    drawn = figure(found)
    assert [tick.label for tick in drawn.x_ticks] == ["500", "500-500", "1000-500-250-30"]
    assert drawn.x_ticks[1].at - drawn.x_ticks[0].at == pytest.approx(
        drawn.x_ticks[2].at - drawn.x_ticks[1].at, abs=0.5
    )


def test_names_without_room_are_numbered_and_explained():
    long = [f"a rather long name {i}" for i in range(5)]
    drawn = figure(read(selected(*(entry(1.0 + i, start=name) for i, name in enumerate(long)))))
    assert [tick.label for tick in drawn.x_ticks] == ["1", "2", "3", "4", "5"]
    assert "2: a rather long name 1, 3:" in drawn.note


def test_rates_have_a_logarithmic_axis():
    rates = (1e-4, 1e-3, 1e-1)
    drawn = figure(read(selected(*(entry(5.0 + i, lr=r) for i, r in enumerate(rates)))))
    first, second, third = (tick.at for tick in drawn.x_ticks)
    assert third - second == pytest.approx(2 * (second - first), abs=0.5)
    assert "Logarithmic: lr." in drawn.note


@pytest.mark.parametrize(
    "record",
    [
        selected(entry(1.0, lr=0.1), of=3),  # one value is no line
        selected(*(entry(1.0, depth=d, start=s) for d in (1, 2) for s in range(7))),
        selected(entry(None, lr=0.1), entry(None, lr=0.2), of=3),
    ],
)
def test_no_figure_where_the_table_says_more(record):
    assert figure(read(record)) is None


def test_the_page_shows_figure_and_table(make_run, tmp_path):
    run = make_run(**grid())
    page = (build([run.path], tmp_path / "out").parent / "one" / "index.html").read_text()
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "12 candidates; the one with the lowest val/error on validation data is chosen." in text
    assert "7 0.01250 0.8870 * 0.01100" in text
    assert "depth=3 start=random: the loss is nan" in text
    assert page.count('class="ring"') == 1


def test_an_unfinished_choice_is_shown_as_such(make_run, tmp_path):
    run = make_run(**selected(entry(0.5, lr=0.1), entry(0.4, lr=0.2), of=5))
    page = (build([run.path], tmp_path / "out").parent / "one" / "index.html").read_text()
    assert "2 of 5 candidates so far, by val/error on validation data." in page
    assert 'class="ring"' not in page


def test_what_is_no_selection_is_a_problem_and_not_an_error(make_run, tmp_path, capsys):
    run = make_run(selection={"candidates": [{"values": 3}]})
    page = (build([run.path], tmp_path / "out").parent / "one" / "index.html").read_text()
    assert "the selection is unreadable" in page
    assert main(["info", str(run.path)]) == 0
    assert "selection    unreadable" in capsys.readouterr().out


def test_hostile_settings_are_text(make_run, tmp_path):
    hostile = "<script>alert(1)</script>"
    record = selected(entry(0.5, **{hostile: hostile}), entry(None, **{hostile: "b"}))
    page = (
        build([make_run(**record).path], tmp_path / "out").parent / "one" / "index.html"
    ).read_text()
    assert page.count("<script") == 1
    assert hostile not in page


def test_info_shows_the_table(make_run, capsys):
    assert main(["info", str(make_run(**grid()).path)]) == 0
    said = capsys.readouterr().out
    assert "selection    12 candidates; the one with the lowest val/error" in said
    assert "    7               0.01250        0.8870   * 0.01100" in said
