"""Figures of the plane and of tables, on numbers with known answers."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import genlab
from genlab.api.general import HALF, SIDE, general_figures
from genlab.api.show import SEED, some_data
from genlab.contracts import Figure

CELL = (2 * HALF / SIDE) ** 2
PLANE = ("data=toy2d", "data.name=moons", "data.n=1000")


def trained(folder, *words: str) -> genlab.Run:
    return genlab.train(*words, f"folder={folder}", "gallery=false", "evaluate=[]")


def figure_of(run: genlab.Run, scorer: Any) -> Figure:
    some = some_data(run, 64, "test")
    (figure,) = general_figures(run, run.settings, scorer, some, "test", SEED)
    return figure


class Bell:
    """Scores a narrow Gaussian around (1, −2)."""

    likelihood = SimpleNamespace(name="exact")
    width = 0.2

    def given(self, what: str, x: torch.Tensor) -> SimpleNamespace:
        away = (x.double() - torch.tensor([1.0, -2.0])) / self.width
        nats = -away.square().sum(-1) / 2 - math.log(2 * math.pi * self.width**2)
        result = SimpleNamespace(guarantee="exact", method="a closed form")
        return SimpleNamespace(nats=nats.numpy(), reason="", result=result)


def test_a_density_lies_where_it_is_and_is_one_in_all(tmp_path):
    figure = figure_of(trained(tmp_path, "model=independent", *PLANE), Bell())
    assert "(exact, a closed form), and test data beside it" in figure.caption
    values = figure.content.values * CELL
    places = ((torch.arange(SIDE) + 0.5) / SIDE * 2 * HALF - HALF).double()
    assert float(values.sum()) == pytest.approx(1, abs=1e-3)
    assert float(values.sum(0) @ places) == pytest.approx(1, abs=1e-3)
    assert float(values.sum(1) @ places.flip(0)) == pytest.approx(-2, abs=1e-3), "y grows upwards"


def test_the_density_of_a_model_with_a_bound_is_that_of_its_flow(tmp_path):
    run = trained(tmp_path, "model=diffusion", *PLANE, "stages.fit.max_epochs=3")
    figure = figure_of(run, run.scorer())
    assert "(estimate, probability flow, rk4" in figure.caption
    assert float(figure.content.values.sum()) * CELL == pytest.approx(1, abs=0.05)


def test_what_occurs_together_is_counted(tmp_path, monkeypatch):
    run = trained(tmp_path, "model=independent", "data=heartbeat")
    ones = torch.ones(2000, 20)
    monkeypatch.setattr(type(run), "drawn_together", lambda *given: ones)
    data, samples = figure_of(run, None).content.values
    x = run.data.dataset("test")[torch.arange(2000)].x
    assert torch.equal(samples, torch.ones(20, 20))
    assert torch.allclose(data.diagonal(), x.mean(0), atol=0.05)
    assert torch.allclose(data[0, 1], (x[:, 0] * x[:, 1]).mean(), atol=0.05)
