"""Parts chosen by words: options of the default part without its name, and other parts by theirs."""

from __future__ import annotations

import pytest
import torch

from genlab.api import Plan
from genlab.config import compose
from genlab.models.diffusion import Denoiser, Dense, LogLinear
from genlab.nn.unet import UNet

SMALL = "denoiser.network.hidden=[8]"


def planned(*words: str):
    return Plan(["data=digits", *words]).model


@pytest.mark.parametrize(
    "words",
    [
        ["denoiser.variance=analytic"],
        ["schedule.log_snr_min=-8", "schedule.log_snr_max=9"],
        ["model.denoiser.predict=v", "model.schedule.log_snr_min=-5"],
    ],
)
def test_options_of_the_default_parts_need_no_name(words):
    """They give what naming the default gives, to the bit."""
    unnamed = planned("model=diffusion", SMALL, *words)
    named = planned("model=diffusion", "denoiser=dense", "schedule=log_linear", SMALL, *words)
    assert isinstance(unnamed.schedule, LogLinear)
    assert isinstance(unnamed.denoiser, Denoiser)
    assert isinstance(unnamed.denoiser.network, Dense)
    for key in ("predict", "variance"):
        assert getattr(unnamed.denoiser, key) == getattr(named.denoiser, key)
    assert unnamed.span == named.span
    weights = named.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in unnamed.state_dict().items())


def test_another_part_by_name_takes_the_place_of_the_default():
    model = planned(
        "model=diffusion", "denoiser.predict=v", "denoiser=unet", "denoiser.network.channels=[4]"
    )
    assert isinstance(model.denoiser.network, UNet)
    assert model.denoiser.predict == "v"


def test_what_is_not_set_is_not_recorded():
    """So the hash of a run without such words is what it would be without these parts."""
    assert set(compose(["model=diffusion"]).identity["model"]) == {"_target_"}
    recorded = compose(["model=diffusion", "denoiser.predict=v"]).identity["model"]
    assert recorded["denoiser"] == {"predict": "v"}


@pytest.mark.parametrize("model", ["diffusion_binomial", "diffusion_absorbing"])
def test_bits_choose_their_network(model):
    words = [f"model={model}", "data=digits_binary"]
    assert isinstance(planned(*words, "network.hidden=[8]").network, Dense)
    unet = planned(*words, "network=unet", "network.channels=[4,8]")
    assert isinstance(unet.network, UNet)
