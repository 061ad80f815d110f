"""The verbs on a run that is really trained, for one epoch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab
from genlab.api.show import show_run
from genlab.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["model=made", "data=digits_binary", "model.hidden=[16]", "stages.fit.max_epochs=1"]
    return genlab.train(*words, f"folder={folder}", "gallery=false", "evaluate=test")


def test_a_run_is_shown_reproducibly(run, tmp_path):
    random_state = torch.get_rng_state()
    show_run(run)
    files = [*run.directory.samples.iterdir(), *run.directory.figures.iterdir()]
    before = {path: path.read_bytes() for path in files}
    show_run(genlab.open(run.path))
    assert {path: path.read_bytes() for path in files} == before
    assert torch.equal(torch.get_rng_state(), random_state)
    figures = json.loads((run.directory.figures / "figures.json").read_text())["figures"]
    assert {f["name"] for f in figures} == {"predictions", "completions"}
    assert not any("error" in figure for figure in figures)
    assert main(["gallery", str(run.path), "-o", str(tmp_path / "g")]) == 0
    assert (tmp_path / "g" / "index.html").is_file()


def test_a_run_that_was_not_shown_can_be_shown_later(run, tmp_path, capsys):
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    for folder in ("samples", "gallery"):
        shutil.rmtree(copy / folder, ignore_errors=True)
    assert main(["evaluate", str(copy), "gallery=true"]) == 0
    assert (copy / "gallery" / "likelihoods.npz").is_file()
    assert (copy / "samples" / "seed-0.png").is_file()
    export = run.export(tmp_path / "export")
    assert main(["evaluate", str(export), "gallery=true"]) == 2
    assert "is an export, which nothing changes" in capsys.readouterr().err


def test_sample_writes_pictures_and_the_array(run, tmp_path, capsys):
    assert main(["sample", str(run.path), "--n", "5", "--seed", "2", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "seed-2.png")
    with np.load(tmp_path / "seed-2.npz", allow_pickle=False) as arrays:
        assert (arrays["x"] == run.sample(5, seed=2).numpy()).all()
    assert np.asarray(Image.open(tmp_path / "seed-2" / "004.png")).shape == (8, 8)


@pytest.mark.parametrize("observed", ["left", "right", "top", "bottom", "mask"])
def test_completions_keep_what_was_observed(run, tmp_path, observed):
    image = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "x.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[
        {"left": np.s_[:, :4], "right": np.s_[:, 4:], "top": np.s_[:4], "bottom": np.s_[4:]}.get(
            observed, np.s_[::2]
        )
    ] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    where = str(tmp_path / "mask.png") if observed == "mask" else observed
    words = ["--complete", str(tmp_path / "x.png"), "--evidence", f"observed:{where}"]
    assert main(["sample", str(run.path), "--n", "3", *words, "-o", str(tmp_path)]) == 0
    with np.load(
        tmp_path / f"completions-observed-{observed}-seed-0.npz", allow_pickle=False
    ) as arrays:
        x = arrays["x"]
    assert x.shape == (3, 1, 1, 8, 8)
    assert (x[:, 0, 0][:, mask > 0] == (image >= 128)[mask > 0]).all()


def test_completion_takes_arrays(run, tmp_path):
    x = run.sample(2, seed=5).numpy()
    np.savez(tmp_path / "x.npz", x=x)
    words = ["--n", "2", "--complete", str(tmp_path / "x.npz"), "--evidence", "observed:top"]
    assert main(["sample", str(run.path), *words, "-o", str(tmp_path)]) == 0
    with np.load(tmp_path / "completions-observed-top-seed-0.npz", allow_pickle=False) as arrays:
        assert (arrays["x"][:, :, :, :4] == x[None, :, :, :4]).all()


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory):
    words = ["model=diffusion", "model.steps=5", "model.particles=2", "data=digits"]
    quick = ["stages.fit.max_steps=2", "evaluate=[]", "gallery=false"]
    return genlab.train(*words, *quick, f"folder={tmp_path_factory.mktemp('runs')}")


@pytest.mark.parametrize(
    ("words", "shape", "name"),
    [("noisy:0.3", (8, 8), "noisy-0-3"), ("pooled:4", (2, 2), "pooled-4")],
)
def test_data_are_drawn_given_their_noisy_or_pooled_pixels(diffusion, tmp_path, words, shape, name):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "y.png")
    given = ["--complete", str(tmp_path / "y.png"), "--evidence", words, "-o", str(tmp_path)]
    assert main(["sample", str(diffusion.path), "--n", "2", *given]) == 0
    with np.load(tmp_path / f"completions-{name}-seed-0.npz", allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["evidence y"]
    assert x.shape == (2, 1, 1, 8, 8)
    assert y.shape == (1, 1, *shape)
    np.testing.assert_allclose(y[0, 0], image / 255, atol=1 / 16 / 2)
    assert (tmp_path / f"completions-{name}-seed-0.png").is_file()


def test_another_sampler_draws_other_samples(diffusion, tmp_path):
    words = ["sampler=ddim", "sampler.steps=3"]
    assert main(["sample", str(diffusion.path), "--n", "4", *words, "-o", str(tmp_path)]) == 0
    with np.load(tmp_path / "seed-0-sampler-ddim-sampler-steps-3.npz", allow_pickle=False) as file:
        x = file["x"]
    assert x.shape == (4, 1, 8, 8)
    assert not np.array_equal(x, diffusion.sample(4).numpy())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sampler=ddim", "sampler.steps=6"], "sampler.steps=6: this model's chain has 5 steps"),
        (["sampler=ddim", "sampler.eta=2"], "sampler.eta=2.0 must lie between 0"),
        (["sampler=dmp"], "did you mean 'dpm'?"),
        (["model=made"], "a run's model is given by the run"),
    ],
)
def test_samplers_that_cannot_be_are_refused(diffusion, tmp_path, capsys, words, complaint):
    assert main(["sample", str(diffusion.path), *words, "-o", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_with_one_way_of_drawing_says_so(run, tmp_path, capsys):
    assert main(["sample", str(run.path), "sampler=ddim", "-o", str(tmp_path / "out")]) == 2
    assert "MADE draws in one way only" in capsys.readouterr().err


def test_a_mask_is_resized_with_the_picture(diffusion, tmp_path):
    for name in ("x.png", "mask.png"):
        Image.new("L", (16, 16), 255).save(tmp_path / name)
    words = ["--complete", str(tmp_path / "x.png"), "--evidence", f"observed:{tmp_path}/mask.png"]
    words = ["sample", str(diffusion.path), "--n", "1", *words, "-o", str(tmp_path)]
    assert main(words) == 2
    assert main([*words, "--resize"]) == 0


def test_a_picture_is_resized_only_if_asked(diffusion, tmp_path, capsys):
    Image.new("L", (16, 16), 255).save(tmp_path / "y.png")
    words = ["--complete", str(tmp_path / "y.png"), "--evidence", "pooled:4", "-o", str(tmp_path)]
    assert main(["sample", str(diffusion.path), "--n", "1", *words]) == 2
    assert "has 16×16 pixels (height × width); expected are 2×2" in capsys.readouterr().err
    assert main(["sample", str(diffusion.path), "--n", "1", *words, "--resize"]) == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("fuzzy:3", "expected observed:left, observed:MASK.png, noisy:SIGMA or pooled:FACTOR"),
        ("noisy:none", "expected a deviation above 0, as noisy:0.3"),
        ("noisy:-1", "expected a deviation above 0"),
        ("pooled:3", "images of 8×8 can be pooled by 2, 4, 8"),
        ("observed:nothing.png", "or a mask image that exists"),
    ],
)
def test_evidence_that_means_nothing_is_refused(diffusion, tmp_path, capsys, words, complaint):
    Image.new("L", (8, 8)).save(tmp_path / "y.png")
    given = ["--complete", str(tmp_path / "y.png"), "--evidence", words]
    assert main(["sample", str(diffusion.path), *given, "-o", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_says_what_it_completes(run, tmp_path, capsys):
    Image.new("L", (8, 8)).save(tmp_path / "y.png")
    words = ["--complete", str(tmp_path / "y.png"), "--evidence", "noisy:0.3"]
    assert main(["sample", str(run.path), *words]) == 2
    assert "MADE completes observed evidence only" in capsys.readouterr().err


def big(path):
    Image.new("L", (9, 8)).save(path)


def coloured(path):
    Image.new("RGB", (8, 8), "red").save(path)


def text(path):
    path.write_text("no image")


def half(path):
    np.savez(path.with_suffix(".npz"), x=np.full((1, 1, 8, 8), 0.5))
    path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize(
    ("name", "write", "complaint"),
    [
        ("x.png", big, "has 8×9 pixels (height × width); expected are 8×8: add --resize"),
        ("x.png", coloured, "in colour"),
        ("x.png", text, "no image"),
        ("x.npz", half, "values other than 0 and 1"),
        ("x.npz", text, "no array x"),
        ("x.png", lambda path: None, "no such file"),
    ],
)
def test_files_that_do_not_fit_are_refused(run, tmp_path, capsys, name, write, complaint):
    write(tmp_path / name)
    words = [
        "--complete",
        str(tmp_path / name),
        "--evidence",
        "observed:left",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(["sample", str(run.path), *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--n", "0"],
        ["--label", "10"],
        ["--complete", "x.png"],
        ["--evidence", "observed:left"],
        ["--resize"],
    ],
)
def test_wrong_words_are_refused(run, tmp_path, words):
    assert main(["sample", str(run.path), *words, "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_compare_prints_every_format(run, capsys):
    for name in ("table", "md", "json", "csv", "html"):
        assert main(["compare", str(run.path), "--format", name]) == 0
        assert "MADE" in capsys.readouterr().out
    assert main(["compare", str(run.path), "--split", "val"]) == 0
    assert "genlab evaluate" in capsys.readouterr().out


def test_gallery_refuses_what_is_no_run(tmp_path, capsys):
    assert main(["gallery", str(tmp_path / "nothing"), "-o", str(tmp_path / "g")]) == 2
    assert "not a run directory" in capsys.readouterr().err


def test_what_stands_beside_samples_is_of_them(run, tmp_path):
    """Likelihoods and distances, read back and computed once more from the draws and the data."""
    opened = genlab.open(shutil.copytree(run.path, tmp_path / "copy"))
    scorer = opened.scorer()
    scorer.split("test")
    show_run(opened, scorer=scorer)
    folder = opened.directory.figures
    nats = np.load(folder / "likelihoods.npz", allow_pickle=False)
    known = json.loads((folder / "nearest.json").read_text())
    x = opened.sample(64, seed=0)
    train, test = (opened.data.dataset(split) for split in ("train", "test"))
    learned = train[torch.linspace(0, len(train) - 1, 297).round().long()].x
    unseen = test[torch.linspace(0, len(test) - 1, 64).round().long()].x
    with torch.no_grad():
        expected = {"samples": x, "train": learned, "test": test[torch.arange(297)].x}
        for name, rows in expected.items():
            np.testing.assert_allclose(nats[name], opened.model.log_prob(rows), atol=1e-3)
    whole = train[torch.arange(len(train))].x.flatten(1)
    for name, rows in {"samples": x, "held out": unseen}.items():
        direct = torch.cdist(rows.flatten(1), whole).amin(1)
        np.testing.assert_allclose(known[name], direct, atol=1e-4)
    assert (known["seed"], known["training"], known["looked_at"]) == (0, len(train), len(train))
