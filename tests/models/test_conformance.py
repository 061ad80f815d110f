"""Every model of the core keeps what its base classes promise."""

from __future__ import annotations

from functools import partial

import pytest

from genlab.models.chow_liu import ChowLiu
from genlab.models.diffusion import Denoiser, Diffusion
from genlab.models.diffusion.networks import Dense
from genlab.models.independent import Independent
from genlab.models.made import MADE
from genlab.testing import assert_conforms

SMALL = partial(Dense, hidden=(64, 64), dropout=0.0)
MODELS = {
    "chow_liu": ChowLiu,
    "diffusion": partial(Diffusion, denoiser=partial(Denoiser, network=SMALL), steps=20),
    "independent": Independent,
    "made": partial(MADE, hidden=(32,)),
    "made, two layers": partial(MADE, hidden=(32, 24), activation="tanh", order="random"),
    "made, mixture": partial(MADE, hidden=(32,), masks=4, order="random"),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())
def test_conforms(build):
    assert_conforms(build)
