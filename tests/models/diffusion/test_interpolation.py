"""Data turned into noise and back, against the flow of Gaussian data, which is known."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Images, Support
from genlab.models.diffusion import Denoiser, Dense, Diffusion
from genlab.models.diffusion.interpolation import figure, paths
from genlab.models.diffusion.reverse import Moments
from genlab.nn.ode import decode, encode
from genlab.randomness import generator, scope

MEAN, VARIANCE = 0.3, 0.25


class Optimal(torch.nn.Module):
    """The mean of x given z, of x ~ N(MEAN, VARIANCE)."""

    def forward(self, z: Tensor, log_snr: Tensor) -> Moments:
        a, s2 = torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr)
        total = a**2 * VARIANCE + s2
        return Moments(MEAN + a * VARIANCE / total * (z - a * MEAN), z.new_zeros(()))


def gaussian() -> Diffusion:
    spec = DataSpec("gaussian", "", (1, 2, 2), Support.REAL)
    return Diffusion(spec, denoiser=lambda spec: Optimal()).eval()


def exact(z: Tensor, model: Diffusion) -> Tensor:
    """Where the flow ends: as many standard deviations from the mean as where it began."""
    (a0, v0), (a1, v1) = (
        (torch.sigmoid(torch.tensor(u)).sqrt(), torch.sigmoid(torch.tensor(-u))) for u in model.span
    )
    away = (z - a0 * MEAN) / (a0**2 * VARIANCE + v0).sqrt()
    return a1 * MEAN + (a1**2 * VARIANCE + v1).sqrt() * away


def test_gaussian_data_become_the_noise_that_they_should_and_come_back():
    model = gaussian()
    x = MEAN + 0.5 * torch.randn(64, 1, 2, 2, generator=generator("data"))
    z, _ = model.embed(x, generator=generator("embed"))
    noise = encode(model, z)
    torch.testing.assert_close(noise, exact(z, model), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(decode(model, noise), z, atol=1e-4, rtol=1e-4)


def test_the_middle_of_a_path_is_that_of_the_noise():
    model = gaussian()
    a, b = (MEAN + 0.5 * torch.randn(4, 1, 2, 2, generator=generator(k)) for k in "ab")
    found = paths(model, a, b, 3, generator("path"))
    torch.testing.assert_close(found[:, 0], a, atol=1e-3, rtol=0)
    torch.testing.assert_close(found[:, 2], b, atol=1e-3, rtol=0)
    (kept,) = torch.sigmoid(torch.tensor([model.span[0]])).sqrt()
    noise = [exact(kept * x, model).flatten(1) for x in (a, b)]
    angle = torch.cosine_similarity(*noise).acos()[:, None]
    middle = (noise[0] + noise[1]) * (angle / 2).sin() / angle.sin()
    end = encode(model, kept * found[:, 1])
    torch.testing.assert_close(end.flatten(1), middle, atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_paths_of_images_begin_and_end_at_the_data(channels):
    spec = DataSpec("greys", "5 levels", (channels, 4, 4), Support.LEVELS, 5)
    with scope("weights"):
        network = partial(Dense, hidden=(16,))
        model = Diffusion(spec, denoiser=partial(Denoiser, network=network)).eval()
    x = torch.randint(5, (5, *spec.shape), generator=generator("levels")) / 4
    model.denoiser.begin(Batch(x))
    shown = figure(model, x, generator("figure"))
    assert isinstance(shown.content, Images)
    pixels = shown.content.pixels
    assert pixels.shape == (2, 8, channels, 4, 4)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    torch.testing.assert_close(pixels[:, 0], x[:2], atol=0.1, rtol=0)
    torch.testing.assert_close(pixels[:, -1], x[3:], atol=0.1, rtol=0)
