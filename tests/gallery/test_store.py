import io
import json

import numpy as np
import torch
from PIL import Image

from genlab.contracts import DataSpec, Figure, Images, Matrix, Observed
from genlab.gallery.completions import completion_grid
from genlab.gallery.pixels import GAP, Grid
from genlab.gallery.store import (
    sanitised,
    write_animations,
    write_completions,
    write_figures,
    write_nearest,
    write_samples,
)
from genlab.runs import RunDirectory

SPEC = DataSpec("bits", "fixed", (1, 4, 4), "binary")
PIXELS = Images(torch.rand(2, 3, 1, 4, 4))


def test_samples_are_an_array_a_picture_and_words(tmp_path):
    x = torch.rand(5, 1, 4, 4).round()
    write_samples(tmp_path, x, SPEC, seed=7, label=3, command="words", singles=True)
    with np.load(tmp_path / "seed-7-label-3.npz", allow_pickle=False) as arrays:
        assert (arrays["x"] == x.numpy()).all()
    words = json.loads((tmp_path / "seed-7-label-3.json").read_text())
    assert (words["n"], words["seed"], words["label"]) == (5, 7, 3)
    assert len(list((tmp_path / "seed-7-label-3").glob("*.png"))) == 5


def test_writing_twice_gives_the_same_bytes(tmp_path):
    x = torch.rand(5, 1, 4, 4).round()
    for folder in ("a", "b"):
        write_samples(tmp_path / folder, x, SPEC, seed=0, command="words", about={"run": "f"})
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_broken_figure_does_not_cost_the_others(make_run):
    run = make_run()

    def figures():
        yield Figure("first", "Fine.", PIXELS)
        yield Figure("../../first", "Same name, and hostile.", Matrix(torch.rand(3, 3)))
        yield Figure("wrong", "Wrong shape.", Images(torch.rand(4, 4)))
        yield Figure("moving", "Fine.", PIXELS, animated=True)
        raise RuntimeError("out of ideas")

    write_figures(run, figures(), seed=0)
    entries = json.loads((run.figures / "figures.json").read_text())["figures"]
    assert [e["name"] for e in entries] == ["first", "first-2", "wrong", "moving", "figures"]
    assert "ValueError" in entries[2]["error"]
    assert "out of ideas" in entries[4]["error"]
    assert (entries[3]["kind"], entries[3]["animated"]) == ("images", True)
    for entry in entries:
        assert all((run.figures / name).is_file() for name in entry["files"].values())


def test_only_animated_figures_become_animations(tmp_path):
    figures = [Figure("still", "", PIXELS), Figure("moving", "", PIXELS, animated=True)]
    assert write_animations(tmp_path, figures, seed=2) == [tmp_path / "seed-2-moving.gif"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "seed-2-moving.apng",
        "seed-2-moving.gif",
        "seed-2-moving.webp",
    ]


def test_completions_mark_what_was_observed(tmp_path):
    x, mask = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., :2] = True
    draws = torch.ones(3, 1, 1, 4, 4)
    seen = Observed(x, mask)
    write_completions(tmp_path, draws, seen, SPEC, seed=0, words="observed:left")
    assert (tmp_path / "completions-observed-left-seed-0.png").is_file()
    drawn = completion_grid(draws, seen, SPEC)
    assert "Blue: observed" in drawn.note
    picture = np.asarray(Image.open(io.BytesIO(drawn.still)).convert("RGB")).astype(int)
    grid = Grid(4, 4, 48, 48, GAP)
    for i in range(4):  # the evidence, and three draws; the left half of each was observed
        left = GAP + i * (grid.width + GAP)
        cell = picture[GAP : GAP + 48, left : left + 48]
        blue = cell[..., 2] > cell[..., 0]
        assert blue[:, :24].all()
        assert not blue[:, 24:].any()


def test_completions_beyond_the_range_are_marked():
    real = DataSpec("real", "standardised", (1, 4, 4), "real")
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    seen = Observed(torch.zeros(1, 1, 4, 4), mask)
    note = completion_grid(torch.full((3, 1, 1, 4, 4), 100.0), seen, real).note
    assert "Standardised values from −3 (black) to 3 (white)." in note
    assert "48 of 64 values (75 %) lie outside [0, 1] and are marked" in note


def test_names_become_file_names():
    assert sanitised("a/b\\c: d") == "a-b-c-d"
    assert sanitised("…") == "figure"
    assert len(sanitised("x" * 300)) == 80


def test_how_many_training_data_are_nearest_is_counted(tmp_path):
    spec, run = DataSpec("bits", "fixed", (1, 2, 2), "binary"), RunDirectory(tmp_path)
    a, b = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    found = {
        "samples": (torch.stack([a, a, b]), torch.arange(3.0)),
        "held out": (torch.stack([a, b]), torch.arange(2.0)),
    }
    write_nearest(run, found, spec, seed=0, split="test", training=9, looked_at=9)
    entry = json.loads((run.figures / "nearest.json").read_text())
    assert entry["different"] == {"of": 2, "samples": 1, "held out": 2}
    assert entry["samples"] == [0.0, 1.0, 2.0]
    found["samples"] = (found["samples"][0], torch.tensor([0.0, float("inf"), 1.0]))
    write_nearest(run, found, spec, seed=0, split="test", training=9, looked_at=9)
    assert not list(run.figures.glob("nearest.*")), "samples that are no numbers have none"
