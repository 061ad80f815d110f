"""Every model of the core keeps what its base classes promise."""

from __future__ import annotations

from functools import partial

import pytest

from genlab.contracts import DataSpec, Support
from genlab.models.boltzmann import DBN
from genlab.models.chow_liu import ChowLiu
from genlab.models.diffusion import Denoiser, Diffusion
from genlab.models.diffusion.networks import Dense
from genlab.models.independent import Independent
from genlab.models.made import MADE
from genlab.nn.heads import GaussianMixture, LogisticMixture, head_for
from genlab.testing import assert_conforms

SMALL = partial(Dense, hidden=(64, 64), dropout=0.0)


def few(spec: DataSpec):
    """The default head, with few components."""
    return GaussianMixture(spec, 3) if spec.support is Support.REAL else head_for(spec)


def mixtures(spec: DataSpec):
    return LogisticMixture(spec, 3) if spec.support is Support.LEVELS else few(spec)


MODELS = {
    "chow_liu": ChowLiu,
    "dbn": partial(DBN, hidden=(8, 6), temperatures=30),
    "diffusion": partial(Diffusion, denoiser=partial(Denoiser, network=SMALL), steps=20),
    "independent": Independent,
    "made": partial(MADE, hidden=(32,), head=few),
    "made, logistic mixtures": partial(MADE, hidden=(32,), head=mixtures),
    "made, two layers": partial(MADE, hidden=(32, 24), activation="tanh", order="random", head=few),
    "made, mixture": partial(MADE, hidden=(32,), masks=4, order="random", head=few),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())
def test_conforms(build):
    assert_conforms(build)


@pytest.mark.parametrize("support", Support)
def test_stacks_with_labels_conform(support):
    levels = 3 if support is Support.LEVELS else None
    spec = DataSpec("conformance", "with labels", (1, 2, 2), support, levels, classes=3)
    build = partial(DBN, hidden=(6, 6, 6), labels=True, up_down=True, gibbs=(1, 2), temperatures=30)
    assert_conforms(build, spec=spec, train_steps=300)
