"""Every model of the core keeps what its base classes promise."""

from __future__ import annotations

from functools import partial

import pytest

from genlab.contracts import DataSpec, Support
from genlab.models.boltzmann import DBN, RBM, DeepAutoencoder, StackClassifier
from genlab.models.chow_liu import ChowLiu
from genlab.models.diffusion import (
    Absorbing,
    Binomial,
    BitDiffusion,
    Denoiser,
    Diffusion,
    Learned,
)
from genlab.models.diffusion.networks import Dense
from genlab.models.draw import DRAW
from genlab.models.independent import Independent
from genlab.models.made import MADE
from genlab.models.moment_matching import gmmn, gmmn_ae
from genlab.models.pca import PCA
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
    "dbn": partial(DBN, hidden=(8, 6), transitions=30),
    "deep autoencoder": partial(DeepAutoencoder, hidden=(12, 3), sweeps=5),
    "deep autoencoder, modern": partial(DeepAutoencoder, hidden=(12, 3), start="modern"),
    "diffusion": partial(Diffusion, denoiser=partial(Denoiser, network=SMALL), steps=20),
    "diffusion, continuous": partial(
        Diffusion,
        schedule=Learned,
        denoiser=partial(Denoiser, network=SMALL),
        steps=20,
        continuous=True,
        bound_steps=10,
    ),
    "draw": partial(DRAW, glimpses=3, hidden=16, latent=3),
    "draw, windows": partial(
        DRAW, glimpses=2, hidden=16, latent=2, read=2, write=2, autoregressive=True
    ),
    "gmmn": partial(gmmn, hidden=(32, 32)),
    "gmmn_ae": partial(gmmn_ae, hidden=(32, 32), encoder=(24, 6), dropout=(0.0, 0.1)),
    "independent": Independent,
    "made": partial(MADE, hidden=(32,), head=few),
    "made, logistic mixtures": partial(MADE, hidden=(32,), head=mixtures),
    "made, two layers": partial(MADE, hidden=(32, 24), activation="tanh", order="random", head=few),
    "made, mixture": partial(MADE, hidden=(32,), masks=4, order="random", head=few),
    "pca": partial(PCA, components=1),
    "rbm": partial(RBM, hidden=8, transitions=50),
    "stack classifier": partial(StackClassifier, hidden=(12, 6), sweeps=5),
    "stack classifier, modern": partial(StackClassifier, hidden=(12, 6), start="modern"),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())
def test_conforms(build):
    assert_conforms(build)


ON_BITS = {
    "diffusion, binomial": partial(BitDiffusion, kernel=Binomial(20), network=SMALL),
    "diffusion, absorbing": partial(BitDiffusion, kernel=Absorbing(20), network=SMALL),
    "diffusion, labels": partial(
        Diffusion, denoiser=partial(Denoiser, network=SMALL), steps=20, labels=True
    ),
    "diffusion, preconditioned": partial(
        Diffusion,
        denoiser=partial(Denoiser, predict="edm", variance="analytic", network=SMALL),
        steps=20,
        weighting="edm",
    ),
    "diffusion, learned variance": partial(
        Diffusion,
        denoiser=partial(Denoiser, predict="v", variance="learned", network=SMALL),
        steps=20,
    ),
    "rbm, gaussian hidden units": partial(RBM, hidden=8, units="gaussian", transitions=50),
    "rbm, rectified hidden units": partial(RBM, hidden=8, units="rectified", transitions=50),
    "rbm, labels": partial(RBM, hidden=8, labels=True, transitions=50),
}


@pytest.mark.parametrize("build", ON_BITS.values(), ids=ON_BITS.keys())
def test_conforms_on_labelled_bits(build):
    """What takes bits alone, needs labels or is a part of another is tried on one space."""
    spec = DataSpec("conformance", "skewed", (1, 2, 2), Support.BINARY, classes=3)
    assert_conforms(build, spec=spec)


@pytest.mark.parametrize("support", Support)
def test_stacks_with_labels_conform(support):
    levels = 3 if support is Support.LEVELS else None
    spec = DataSpec("conformance", "with labels", (1, 2, 2), support, levels, classes=3)
    build = partial(DBN, hidden=(6, 6, 6), labels=True, up_down=True, gibbs=(1, 2), transitions=30)
    assert_conforms(build, spec=spec, train_steps=300)
