"""Figures of a machine: what is shown is what is there."""

from __future__ import annotations

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Images, Support
from genlab.contracts.figures import UNKNOWN
from genlab.models.boltzmann import RBM
from genlab.models.boltzmann.pictures import FRAMES, filters, spaced

IMAGE = DataSpec("images", "", (1, 4, 4), Support.BINARY, classes=3)


def drawn(**options: object) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RBM(IMAGE, 5, transitions=40, **options).eval()  # type: ignore[arg-type]
    batch = Batch(
        (torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    )
    found = {}
    for figure in model.figures(batch, generator=torch.Generator().manual_seed(0)):
        assert isinstance(figure.content, Images)
        assert figure.content.pixels.min() >= 0
        assert figure.content.pixels.max() <= 1
        found[figure.name] = figure.content.pixels
    found["x"] = batch.x
    return found


def test_figures_show_what_they_say():
    found = drawn()
    assert set(found) == {"filters", "reconstructions", "chain", "completions", "x"}
    assert found["chain"].shape == (8, FRAMES, 1, 4, 4)
    assert torch.equal(found["reconstructions"][0], found["x"][:8])
    completions = found["completions"]
    assert completions.shape == (8, 8, 1, 4, 4)
    assert torch.equal(completions[:, 0], found["x"][:8])
    assert torch.equal(
        completions[:, 1:, :, :2], completions[:, :1, :, :2].expand(-1, 7, -1, -1, -1)
    )
    assert completions[:, 1, :, 2:].unique().tolist() == pytest.approx([UNKNOWN])


def test_labels_have_a_row_each():
    assert drawn(labels=True)["classes"].shape == (3, 8, 1, 4, 4)


def test_filters_are_weights_around_grey_the_strongest_first():
    weight = torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.5, 0.25]])
    pixels = filters(weight, (1, 1, 2), "filters", "").content.pixels  # type: ignore[union-attr]
    assert pixels.shape == (1, 12, 1, 1, 2)
    assert torch.allclose(pixels[0, 0].flatten(), torch.tensor([1.0, 0.0]))
    assert torch.allclose(pixels[0, 1].flatten(), torch.tensor([0.75, 0.625]), atol=1e-2)
    assert (pixels[0, 2:] == 0.5).all()


def test_frames_are_spread_evenly_and_end_at_the_end():
    states = iter(torch.arange(100)[:, None])
    frames = spaced(states, 100).flatten()
    assert len(frames) == FRAMES
    assert (frames[0], frames[-1]) == (0, 99)
    assert len(spaced(iter(torch.arange(11)[:, None]), 11)) == 11
