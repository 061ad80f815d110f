"""Colour pictures in every part: training, bounds, samples, completions, metrics, figures."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab
from genlab.cli.main import main
from genlab.contracts import Batch, Images
from genlab.data import cifar10_subset
from genlab.gallery.terminal import text_of
from genlab.models.diffusion import Denoiser, Diffusion
from genlab.models.draw import DRAW
from genlab.nn.heads import Categorical
from genlab.nn.unet import UNet
from genlab.randomness import generator, scope

SIDE = 8
SMALL_UNET = ["model=diffusion", "denoiser=unet", "model.denoiser.network.channels=[4,8]"]
MODELS = {
    "diffusion": [*SMALL_UNET, "model.steps=4", "model.labels=true", "model.particles=2"],
    "diffusion, v": [*SMALL_UNET, "model.steps=4", "model.denoiser.predict=v"],
    "draw": ["model=draw", "model.glimpses=2", "model.hidden=16", "model.read=3", "model.write=3"],
    "draw without windows": ["model=draw", "model.glimpses=2", "model.hidden=16"],
}


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    """Patches of one colour with noise, and labels: (N, 8, 8, 3) bytes."""
    draws = np.random.default_rng(0)
    arrays = {}
    for split, n in {"train": 24, "val": 8, "test": 8}.items():
        label = draws.integers(0, 3, n)
        base = np.eye(3)[label][:, None, None] * 150 + 50
        noisy = base + draws.normal(0, 10, (n, SIDE, SIDE, 3))
        arrays |= {split: noisy.clip(0, 255).astype(np.uint8), f"{split}_labels": label}
    file = tmp_path_factory.mktemp("data") / "colours.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file


@pytest.fixture(scope="module")
def trained(colours, tmp_path_factory):
    """trained(name): the run of a model, trained once."""
    runs: dict[str, genlab.Run] = {}

    def run(name: str) -> genlab.Run:
        if name not in runs:
            data = ["data=npz", f"data.path={colours}", "data.batch_size=12", "evaluate=[test]"]
            steps = ["stages.fit.max_epochs=1", f"folder={tmp_path_factory.mktemp('runs')}"]
            runs[name] = genlab.train(*MODELS[name], *data, *steps, "likelihood=elbo")
        return runs[name]

    return run


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_colours_is_trained_scored_and_shown(trained, name):
    run = trained(name)
    (score,) = run.scores
    assert score["nats"]["guarantee"] == "lower bound"
    assert score["bits_per_dim"] == pytest.approx(-score["nats"]["mean"] / (3 * 64) / np.log(2))
    # models that begin at the independent one are near its bits, of which a factor of 3 would be seen
    assert 4 < score["bits_per_dim"] < (1000 if name == "diffusion, v" else 12)
    x = run.sample(3)
    assert x.shape == (3, 3, SIDE, SIDE)
    assert run.spec.contains(x)
    written = {file.name for file in run.directory.figures.glob("*.png")}
    own = {"denoising-chain.png", "completions.png", "interpolation.png"}
    assert (own if "diffusion" in name else {"canvases.png", "reconstructions.png"}) <= written
    for figure in run.directory.figures.glob("*.png"):
        assert np.asarray(Image.open(figure).convert("RGB")).std(2).max() > 0, "no colour"


def test_labels_and_guidance_and_other_samplers(trained, tmp_path, capsys):
    run = trained("diffusion")
    words = ["--n", "2", "--label", "1", "--guidance", "2", "sampler=dpm", "sampler.steps=3"]
    assert main(["sample", str(run.path), *words, "-o", str(tmp_path), "--show"]) == 0
    (grid,) = (f for f in tmp_path.glob("*.png") if "thumb" not in f.name)
    assert capsys.readouterr().out == f"{text_of(grid, 80)}\n{grid}\n"
    (single, _) = sorted(tmp_path.glob("*/00?.png"))
    (file,) = tmp_path.glob("*.npz")
    with np.load(file, allow_pickle=False) as arrays:
        x = arrays["x"]
    seen = np.asarray(Image.open(single).convert("RGB"))
    assert (seen == np.rint(255 * np.moveaxis(x[0], 0, 2))).all()


@pytest.mark.parametrize("w", ["nan", "inf"])
def test_guidance_that_is_no_number_is_one_line(trained, tmp_path, capsys, w):
    words = ["--label", "1", "--guidance", w, "-o", str(tmp_path / "out")]
    assert main(["sample", str(trained("diffusion").path), *words]) == 2
    assert capsys.readouterr().err.splitlines() == [f"genlab: guidance={w} must be a finite number"]
    assert not (tmp_path / "out").exists()


def half_known(run: genlab.Run, folder: Path, *more: str) -> int:
    """The exit code of completing the right half of a picture; it is written into ``folder``."""
    image = np.random.default_rng(0).integers(100, 150, (SIDE, SIDE, 3), dtype=np.uint8)
    folder.mkdir()
    Image.fromarray(image).save(folder / "x.png")
    words = ["--complete", str(folder / "x.png"), "--evidence", "observed:left", "--n", "2"]
    return main(["sample", str(run.path), *words, *more, "-o", str(folder)])


def test_completions_may_be_told_the_label(trained, tmp_path, monkeypatch):
    run = genlab.open(trained("diffusion").path)
    with scope("weights"), torch.no_grad():  # few steps have taught little of labels
        for weight in run.model.denoiser.network.parameters():
            weight += torch.randn_like(weight) / 2
    monkeypatch.setattr(genlab.api, "open", lambda path: run)
    drawn = {}
    for label in ("", "0", "1"):
        folder = tmp_path / f"label{label}"
        words = ["--label", label] if label else []
        assert half_known(run, folder, *words) == 0
        end = f"-label-{label}" if label else ""
        name = f"completions-observed-left-seed-0{end}"
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            drawn[label] = torch.from_numpy(arrays["x"])
        entry = json.loads((folder / f"{name}.json").read_text())
        assert entry["label"] == (int(label) if label else None)
        assert entry["command"].endswith(f"--label {label}" if label else "observed:left")
    assert torch.equal(drawn["0"][..., :4], drawn["1"][..., :4]), "what is known"
    assert not torch.equal(drawn["0"], drawn["1"])
    assert not torch.equal(drawn[""], drawn["1"])


@pytest.mark.parametrize(
    ("name", "label", "says"),
    [
        ("diffusion", "3", "--label 3: colours has 3 classes"),
        ("diffusion, v", "1", "this model was trained without labels"),
    ],
)
def test_labels_that_a_completion_cannot_be_told_are_one_line(
    trained, tmp_path, capsys, name, label, says
):
    run = trained(name)
    capsys.readouterr()
    assert half_known(run, tmp_path / "x", "--label", label) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert [file.name for file in (tmp_path / "x").iterdir()] == ["x.png"]


@pytest.mark.parametrize("evidence", ["observed:left", "noisy:0.2", "pooled:4"])
@pytest.mark.parametrize("name", ["diffusion", "diffusion, v"])
def test_colours_are_completed(trained, tmp_path, name, evidence):
    run = trained(name)
    side = 2 if evidence.startswith("pooled") else SIDE
    image = np.random.default_rng(0).integers(100, 150, (side, side, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "x.png")
    words = ["--complete", str(tmp_path / "x.png"), "--evidence", evidence, "--n", "2"]
    assert main(["sample", str(run.path), *words, "-o", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("completions-*.npz")
    with np.load(file, allow_pickle=False) as arrays:
        x = torch.from_numpy(arrays["x"])
    assert x.shape[-3:] == (3, SIDE, SIDE)
    assert run.spec.contains(x.flatten(0, -4))
    known = torch.from_numpy(image).movedim(2, 0) / 255
    if evidence == "observed:left":
        assert torch.equal(x[..., :4], known[..., :4].expand_as(x[..., :4]))


def test_samples_of_colours_are_measured(trained):
    run = trained("diffusion, v")
    sampler = {"_target_": "genlab.models.diffusion.DDIM", "steps": 3}
    metric = {"frechet": {"_target_": "genlab.metrics.Frechet"}}
    (found,) = run.measure(metric, n=8, sampler=sampler)
    assert found["values"]["distance"] > 0
    assert found["samples"]["sampler"]["steps"] == 3


# ------------------------------------------------------------------------------------ photographs


needs_photographs = pytest.mark.skipif(
    not os.environ.get("GENLAB_DATA"), reason="needs GENLAB_DATA with cifar10_subset"
)


@needs_photographs
def test_photographs_are_scored_at_the_independent_model_by_an_untrained_network():
    """A thousand steps lose little of it."""
    data = cifar10_subset()
    x = data.dataset("train")[torch.arange(2000)].x
    seen = data.dataset("test")[torch.arange(0, 1000, 125)].x
    network = partial(UNet, channels=(4, 8))
    with scope("weights"):
        model = Diffusion(
            data.spec, denoiser=partial(Denoiser, network=network), steps=1000, bound_steps=10
        ).eval()
    model.denoiser.begin(Batch(x))
    found = model.log_likelihood(seen, generator=generator("photographs")).nats.mean().item()
    head = Categorical(256)
    theta = head.marginal(x).expand(len(seen), *data.spec.shape, 256)
    wanted = head.log_prob(seen, theta).flatten(1).sum(1).mean().item()
    bits = 3 * 32 * 32 * np.log(2)
    assert -found / bits == pytest.approx(-wanted / bits, abs=0.15)


@needs_photographs
def test_photographs_are_painted_on_three_canvases():
    data = cifar10_subset()
    x = data.dataset("train")[torch.arange(64)].x
    with scope("weights"):
        model = DRAW(data.spec, glimpses=2, hidden=32, read=4, write=6).eval()
    model.begin(Batch(x))
    nats = model.log_likelihood(x[:8], generator=generator("canvases")).nats
    assert 4 < -nats.mean().item() / (3 * 32 * 32) / np.log(2) < 12
    found = list(model.figures(Batch(x[:8]), generator=generator("figures")))
    contents = [figure.content for figure in found]
    assert all(isinstance(content, Images) for content in contents)
    assert {content.pixels.shape[2] for content in contents if isinstance(content, Images)} == {3}


@needs_photographs
def test_photographs_are_learned_from_the_independent_model_on():
    """Few steps with pieces of them, from the bound of independent entries."""
    data = cifar10_subset()
    x = data.dataset("train")[torch.arange(32)].x[..., 8:16, 8:16]
    spec = replace(data.spec, shape=(3, 8, 8))
    network = partial(UNet, channels=(8, 16))
    with scope("weights"):
        model = Diffusion(
            spec, denoiser=partial(Denoiser, network=network), steps=50, bound_steps=10
        )
    model.denoiser.begin(Batch(x))

    def bits() -> float:
        nats = model.log_likelihood(x, generator=generator("photographs")).nats.mean().item()
        return -nats / spec.size / np.log(2)

    before = bits()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    with scope("training"):
        for _ in range(25):
            optimizer.zero_grad()
            model.loss(Batch(x)).backward()
            optimizer.step()
    assert bits() < before - 0.3
