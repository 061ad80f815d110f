"""The nearest training data are those that a direct search finds."""

from __future__ import annotations

import torch

from genlab.api import neighbours as module
from genlab.api.neighbours import nearest_rows, neighbours
from genlab.contracts import DataSpec, Images, Support
from tests.likelihood.memory import Rows

SPEC = DataSpec("bits", "made up", (1, 3, 3), Support.BINARY)


def some(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_a_direct_search_finds_the_same(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 7)
    train, x = some(50, 0), some(4, 1)
    direct = torch.cdist(x.flatten(1), train.flatten(1)).argsort(1)[:, :5]
    assert torch.equal(nearest_rows(Rows(train), x, 5), direct)


def test_a_copy_stands_beside_its_original():
    train = some(20, 0).round()
    (figure,) = neighbours(Rows(train), train[3:5], SPEC)
    assert isinstance(figure.content, Images)
    assert figure.content.pixels.shape == (2, 6, 1, 3, 3)
    assert torch.equal(figure.content.pixels[:, 0], figure.content.pixels[:, 1])


def test_few_training_data_and_other_data():
    (figure,) = neighbours(Rows(some(2, 0).round()), some(3, 1), SPEC)
    assert figure.content.pixels.shape == (3, 3, 1, 3, 3)
    row = DataSpec("row", "", (4,), Support.BINARY)
    assert not list(neighbours(Rows(torch.zeros(5, 4)), torch.zeros(2, 4), row))
