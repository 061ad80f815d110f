"""An ensemble of orderings is a distribution as a mixture, and nothing at all as an average of logits."""

from __future__ import annotations

import os

import pytest
import torch

import genlab
from genlab.models.made import MADE
from genlab.nn.heads import Bernoulli

TRAIN = ["model=made", "model.masks=10", "model.order=random", "stages.fit.max_epochs=6"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> MADE:
    """An ensemble of ten orderings, trained on nltcs."""
    if not os.environ.get("GENLAB_DATA"):
        pytest.skip("GENLAB_DATA is unset: it names the folder with nltcs")
    words = [*TRAIN, "data=debd", "data.name=nltcs", "evaluate=[]", "gallery=false"]
    model = genlab.train(*words, f"folder={tmp_path_factory.mktemp('runs')}").model
    assert isinstance(model, MADE)
    return model


@pytest.fixture(scope="module")
def states() -> torch.Tensor:
    """All 2^16 rows of 16 bits."""
    return (torch.arange(2**16)[:, None] >> torch.arange(16) & 1).float()


@torch.no_grad()
def test_the_mixture_sums_to_one(made, states):
    nats = made.log_likelihood(states, generator=torch.Generator()).nats
    assert nats.double().exp().sum() == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_averaged_logits_do_not(made, states):
    """What public code reports as the likelihood of an ensemble."""
    logits = torch.stack([made.network(states, k) for k in range(10)]).mean(0)
    total = Bernoulli().log_prob(states, logits).double().sum(1).exp().sum()
    assert total > 1.1
