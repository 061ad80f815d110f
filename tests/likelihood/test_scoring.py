"""Scores do not depend on how many processes share the work, and no datum is lost or counted twice."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import genlab
from genlab.contracts import (
    Bracket,
    DataSpec,
    Guarantee,
    LogLikelihood,
    Measure,
    Support,
)
from genlab.likelihood.floor import independent_floor
from genlab.likelihood.scoring import Scored
from genlab.training import TrainerSettings

DIFFUSION = [
    "model=diffusion",
    "data=digits",
    "model.steps=20",
    "model.bound_steps=5",
    "stages.fit.max_epochs=1",
    "evaluate=[]",
    "gallery=false",
]
FORKED = TrainerSettings(accelerator="cpu", strategy="ddp_fork", devices=2)
ALONE = TrainerSettings(accelerator="cpu")
MADE_UP = LogLikelihood(torch.empty(0), Guarantee.EXACT, Measure.MASS, "made up")


def values(run, split: str, settings: TrainerSettings) -> np.ndarray:
    run.evaluate(split, settings=settings)
    (file,) = run.directory.scores.glob(f"{split}-*.npz")
    return np.load(file)["nats"]


def test_noisy_bound_is_the_same_on_two_processes(tmp_path):
    run = genlab.train(*DIFFUSION, f"folder={tmp_path}")
    alone, shared = values(run, "test", ALONE), values(run, "test", FORKED)
    assert len(alone) == 297
    assert np.array_equal(alone, shared)


def test_forks_prepare_what_each_evaluation_needs(tmp_path):
    """An enumeration's sum is gone with them; a second split needs it again."""
    words = ["model=rbm", "model.hidden=6", "data=digits_binary", "stages.rbm.max_epochs=1"]
    run = genlab.train(*words, f"folder={tmp_path}", "evaluate=[]", "gallery=false")
    scorer = run.scorer(settings=FORKED)
    shared = [scorer.split(split)["nats"]["mean"] for split in ("val", "test")]
    assert shared == [run.evaluate(split)["nats"]["mean"] for split in ("val", "test")]


def test_more_processes_than_blocks(tmp_path):
    bits = torch.randint(0, 2, (300, 6), generator=torch.Generator().manual_seed(0)).byte().numpy()
    np.savez(tmp_path / "own.npz", train=bits, val=bits[:20], test=bits[:10])
    words = ["data=npz", f"data.path={tmp_path / 'own.npz'}", "stages.fit.max_epochs=1"]
    run = genlab.train(*words, f"folder={tmp_path / 'runs'}", "evaluate=[]", "gallery=false")
    alone, shared = values(run, "test", ALONE), values(run, "test", FORKED)
    assert len(alone) == 10
    assert np.array_equal(alone, shared)


def test_a_shared_error_that_is_no_number_is_null():
    """A score file holds no NaN: it says why there is no number, and is not lost."""
    result = replace(MADE_UP, shared=(math.nan, math.nan), bracket=Bracket(-math.inf, 0.0, False))
    summary = Scored(np.array([math.nan]), {}, result).summary()
    assert "not finite" in summary["reason"]
    assert summary["shared"] is None
    assert summary["bracket"] is None
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_weights_stay_what_they_are_after_an_evaluation_in_another_precision(tmp_path, precision):
    run = genlab.train("model=independent", f"folder={tmp_path}", "evaluate=[]", "gallery=false")
    before = run.evaluate("test", settings=ALONE)
    run.evaluate("test", settings=TrainerSettings(accelerator="cpu", precision=precision))
    assert next(run.model.parameters()).dtype is torch.float32
    after = run.evaluate("test", settings=ALONE)
    assert after["nats"]["mean"] == before["nats"]["mean"]
    assert (after["world_size"], after["device"]) == (1, "cpu")


class Fixed:
    """A data module of two tensors."""

    def __init__(self, spec: DataSpec, train: torch.Tensor, test: torch.Tensor) -> None:
        from genlab.contracts import Batch

        class Rows(list):
            def __getitem__(self, rows):
                return Batch(self.x[rows])

        self.spec, self.splits = spec, {}
        for name, x in (("train", train), ("test", test)):
            self.splits[name] = Rows(range(len(x)))
            self.splits[name].x = x

    def dataset(self, split: str):
        return self.splits[split]


def test_floor_of_reals_is_the_gaussian_entropy():
    """Scored on its own training data, a fitted Gaussian needs exactly its entropy."""
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 2, 5])
    spec = DataSpec("plane", "standardised", (3,), Support.REAL)
    sd = x.double().std(0, correction=0)
    entropy = (sd.log() + 0.5 * math.log(2 * math.pi * math.e)).sum().item()
    assert independent_floor(Fixed(spec, x, x), "test") == pytest.approx(-entropy, abs=1e-9)


def test_floor_of_levels_counts_with_half_a_count_more():
    spec = DataSpec("greys", "3 levels", (1,), Support.LEVELS, levels=3)
    train = torch.tensor([[0.0], [0.0], [0.5]])
    p = torch.tensor([2.5, 1.5, 0.5]) / 4.5
    test = torch.tensor([[1.0], [0.0]])
    expected = (p[2].log() + p[0].log()).item() / 2
    assert independent_floor(Fixed(spec, train, test), "test") == pytest.approx(expected, rel=1e-6)
