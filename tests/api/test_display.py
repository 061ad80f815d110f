"""What a notebook shows."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
import torch
from PIL import Image

import genlab
from genlab.api.display import DrawnFigure, Figures
from genlab.api.show import some_data
from genlab.contracts import Figure, Images, Matrix


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    words = ["model=made", "data=digits_binary", "model.hidden=[8]", "stages.fit.max_epochs=1"]
    folder = tmp_path_factory.mktemp("runs")
    return genlab.train(*words, f"folder={folder}", "gallery=false", "evaluate=[]")


def test_samples_are_those_of_the_seed_and_a_picture(run):
    samples = run.samples(6, seed=3)
    assert torch.equal(samples.x, run.sample(6, seed=3))
    assert Image.open(io.BytesIO(samples._repr_png_())).format == "PNG"
    assert repr(samples) == "6 samples of digits: x is (6, 1, 8, 8)"


def test_figures_are_those_of_the_model(run):
    figures = run.figures()
    assert [drawn.figure.name for drawn in figures] == ["predictions", "completions"]
    assert figures._repr_html_().count("<img") == 2


def test_a_model_that_shows_the_first_few_data_shows_them_from_all_over_the_split(run):
    sorted_rows = some_data(run, 64).index.tolist()
    rows = some_data(run, 64, mixed=True).index.tolist()
    assert sorted(rows) == sorted_rows
    first = sorted([*rows[:8], max(rows)])
    assert max(b - a for a, b in pairwise(first)) < max(rows) / 4


def test_hostile_words_are_text_and_a_broken_figure_says_why():
    hostile = "<script>alert(1)</script>"
    pixels = Images(torch.rand(2, 3, 1, 8, 8))
    moving = DrawnFigure(Figure(hostile, hostile, pixels, animated=True))
    broken = DrawnFigure(Figure(hostile, "", Matrix(torch.zeros(3))))
    for drawn in (moving, broken):
        assert "<script" not in drawn._repr_html_()
    assert "could not be drawn: a matrix has rows and columns" in broken._repr_html_()
    assert Figures(iter([]))._repr_html_() == "<p>no figures</p>"
