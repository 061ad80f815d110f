"""The nearest training data are those that a direct search finds."""

from __future__ import annotations

import torch

from genlab.api import nearest as module
from genlab.api.nearest import nearest
from genlab.contracts import Rows


def some(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_a_direct_search_finds_the_same(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 7)
    train, x = some(50, 0), some(4, 1)
    direct = torch.cdist(x.flatten(1), train.flatten(1)).double()
    found, distance = nearest(Rows(train), x)
    assert torch.equal(found, train[direct.argmin(1)])
    torch.testing.assert_close(distance, direct.amin(1), atol=1e-6, rtol=0)


def test_a_copy_is_its_own_nearest_at_no_distance():
    train = some(20, 0)
    found, distance = nearest(Rows(train), train[3:5])
    assert torch.equal(found, train[3:5])
    assert distance.tolist() == [0.0, 0.0]


def test_of_many_training_data_an_even_share_is_looked_at(monkeypatch):
    monkeypatch.setattr("genlab.memory.HELD", 9 * 10)
    train = some(100, 0)
    found, _ = nearest(Rows(train), some(5, 1))
    kept = train[torch.arange(10) * 10]
    assert all((kept == x).flatten(1).all(1).any() for x in found)
