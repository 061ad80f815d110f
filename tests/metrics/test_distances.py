"""Distances, block by block, against all of them at once."""

from __future__ import annotations

import pytest
import torch

from genlab.metrics import distances
from genlab.metrics.distances import nearest, radii, squared_distances
from genlab.randomness import generator


def normal(n: int, d: int, key: str) -> torch.Tensor:
    return torch.randn(n, d, generator=generator("tests", key))


@pytest.mark.parametrize("d", [3, 64, 300])
def test_all_distances_in_blocks(monkeypatch, d):
    monkeypatch.setattr(distances, "block_rows", lambda x, y: 7)
    x, y = normal(20, d, "x"), normal(30, d, "y")
    found = torch.cat([block for _, block in squared_distances(x, y)])
    assert [start for start, _ in squared_distances(x, y)] == [0, 7, 14]
    expected = torch.cdist(x.double(), y.double()) ** 2
    assert torch.allclose(found.double(), expected, rtol=1e-5)
    assert found.dtype == (torch.float64 if d <= distances.SHORT else torch.float32)


def test_distances_of_bits_are_counts():
    bits = torch.randint(0, 2, (50, 784), generator=generator("bits")).float()
    found = torch.cat([block for _, block in squared_distances(bits, bits)])
    assert torch.equal(found, (bits[:, None] != bits).sum(2).float())


def test_radius_does_not_count_the_datum_itself(monkeypatch):
    monkeypatch.setattr(distances, "block_rows", lambda x, y: 2)
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert radii(line, 1).tolist() == [1, 1, 4, 16]
    assert radii(line, 2).tolist() == [9, 4, 9, 36]


def test_nearest_of_a_copy_is_at_distance_zero():
    y = 100 + normal(200, 300, "y")  # far from 0: rounded distances of copies are not 0
    x = torch.cat([y[:5], y[5:6] + 1.0])
    assert nearest(x, y)[:5].tolist() == [0.0] * 5
    assert nearest(x, y)[5].item() == pytest.approx(300**0.5, rel=1e-6)
