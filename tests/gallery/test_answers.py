"""Answers of made-up runs: what stands in one table, in which order, and what is said beside a number."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from genlab.contracts import DataSpec
from genlab.gallery.answers import compare, in_words, read_answers
from genlab.gallery.quality import read_quality
from genlab.gallery.sheets import Compared
from genlab.gallery.tables import WRITERS
from genlab.gallery.view import read_view
from genlab.runs import write_json

SPEC = DataSpec("bits", "fixed", (1, 8, 8), "binary", classes=10)


def answers(error: float | None = 0.0131, split: str = "test", **changes: Any) -> dict[str, Any]:
    stderr, reason = (0.00114, None) if error is not None else (None, "1 of 5 are not finite")
    about = {"name": "bits", "variant": "fixed", "split": split, "n": 10_000, "sha256": "a"}
    return {
        "schema": 1,
        "kind": "answers",
        "data": about,
        "metric": {
            "name": "classification",
            "parameters": {},
            "shown": ["error"],
            "seed": 0,
            "precision": "32-true",
        },
        "values": {"error": {"mean": error, "stderr": stderr, "reason": reason}},
        "floor": {"of": "always label 1", "values": {"error": 0.8865}},
        "facts": {},
        "checkpoint": {"weights": "raw"},
        "created": "2026-01-01T00:00:00+00:00",
    } | changes


@pytest.fixture
def make(make_run):
    def of(name: str, *found: dict[str, Any], **record: Any):
        run = make_run(name, SPEC, (), **record)
        for i, content in enumerate(found):
            write_json(run.metrics / f"test-classification-{i}.json", content)
        return run.path

    return of


def test_the_best_comes_first_and_what_is_no_number_last(make):
    paths = [make("none", answers(None)), make("far", answers(0.2)), make("near", answers())]
    (group,), problems = compare(paths)
    assert [row.run for row in group.rows] == ["near", "far", "none"]
    assert problems == []
    text = WRITERS["md"](Compared(answers=[group]))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[2].startswith("| always label 1 | 88.65 |")
    assert "| 1.31 ± 0.11 |" in lines[3]
    assert "| – |" in lines[5]
    assert "1 of 5 are not finite" in lines[5]


def test_other_data_other_tables(make):
    other = answers() | {"data": answers()["data"] | {"sha256": "b"}}
    groups, _ = compare([make("one", answers()), make("two", other)])
    assert len(groups) == 2, "one name, and other numbers"
    groups, _ = compare([make("three", answers(), answers(split="val"))], None)
    assert [group.split for group in groups] == ["test", "val"]


def test_unusual_weights_and_settings_are_remarked(make):
    metric = answers()["metric"] | {"seed": 3, "precision": "bf16-mixed"}
    path = make("one", answers(metric=metric, checkpoint={"weights": "ema"}))
    (group,), _ = compare([path])
    assert group.rows[0].remarks == "averaged weights, bf16-mixed, seed 3"
    for name in ("table", "md", "html"):
        assert "averaged weights, bf16-mixed, seed 3" in WRITERS[name](Compared(answers=[group]))
    assert "remarks" not in WRITERS["md"](Compared(answers=compare([make("two", answers())])[0]))


def test_in_words():
    assert in_words(answers()) == "error 1.31 ± 0.11 % (88.65); in brackets: always label 1"
    assert in_words(answers(None)).startswith("error: no number (1 of 5 are not finite)")


def test_a_value_of_a_plugin_has_its_own_name(make):
    metric = answers()["metric"] | {"name": "surprise", "shown": ["bits"], "parameters": {"k": 3}}
    values = {"bits": {"mean": 2.5, "stderr": 0.25, "reason": None}}
    floor = {"of": "nobody", "values": {"bits": 8.0}}
    content = answers(metric=metric, values=values, floor=floor)
    assert in_words(content) == "surprise bits 2.50 ± 0.25 (8); in brackets: nobody"
    (group,), _ = compare([make("one", content)])
    assert group.title.startswith("Surprise, k=3: bits (fixed), test")


def test_the_two_kinds_of_files_do_not_mix(make):
    run = read_view(make("one", answers()), "one")
    assert run.problems == []
    assert run.headlines == ["Classification: error 1.31 ± 0.11 %"]
    from genlab.runs import RunDirectory

    directory = RunDirectory(make("two", answers()))
    assert read_quality(directory) == ([], [])
    assert len(read_answers(directory)[0]) == 1


def test_a_page_of_a_model_without_samples_has_no_empty_places(make):
    view = read_view(make("one", answers(), generative=False), "one")
    assert not view.generative
    assert read_view(make("old", answers()), "old").generative, (
        "runs that do not say are generative"
    )


@pytest.mark.parametrize("key", ["data", "metric", "values", "floor", "facts"])
def test_a_file_that_lacks_something_is_named(make, key):
    content = answers()
    del content[key]
    groups, (problem,) = compare([make("one", content)])
    assert groups == []
    assert "test-classification-0.json is unreadable: TypeError: there is no" in problem


def test_json_is_plain(make):
    (group,), _ = compare([make("one", answers())])
    found = json.loads(WRITERS["json"](Compared(answers=[group])))
    (row,) = found["answers"][0]["rows"]
    assert row["values"] == {"error": [0.0131, 0.00114]}
    assert dataclasses.asdict(group)["floor"] == {"error": 0.8865}
