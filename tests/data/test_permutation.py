"""A shuffle that is computed place by place: one to one, and no place or neighbourhood is preferred."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from genlab.data import permutation
from genlab.data.permutation import Permutation
from genlab.randomness import generator

LARGE = (10**6 + 3, 2**31, 10**10, 10**12 + 39)


def shuffle(n: int, *key: str | int) -> torch.Tensor:
    return Permutation(n, generator("test", *key))(torch.arange(n))


@cache
def shuffles(n: int, keys: int) -> np.ndarray:
    """(keys, n)"""
    return np.stack([shuffle(n, key).numpy() for key in range(keys)])


def p_value(counts: np.ndarray) -> float:
    """Of equal probabilities, by Pearson's chi-square."""
    expected = counts.sum() / counts.size
    assert expected > 5
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1))


def test_every_row_comes_once():
    for n in range(1, 2001):
        assert torch.equal(shuffle(n, n).sort().values, torch.arange(n)), n


@pytest.mark.parametrize("n", LARGE)
def test_large_sets_are_sampled(n):
    """Neighbouring places, those at the ends and random ones have rows of their own inside the set."""
    order = Permutation(n, generator("large"))
    random = torch.randint(n, (200_000,), generator=generator("places"))
    ends = torch.arange(1000)
    places = torch.cat([random, ends, n - 1 - ends]).unique()
    rows = order(places)
    assert rows.min() >= 0
    assert rows.max() < n
    assert len(rows.unique()) == len(places)
    bins = np.histogram(rows.numpy(), 100, (0, n))[0]
    assert p_value(bins) > 1e-3


def test_an_empty_batch_is_empty():
    assert Permutation(5, generator("x"))(torch.arange(0)).tolist() == []


def test_a_place_does_not_depend_on_the_batch():
    order = Permutation(10_007, generator("x"))
    together = order(torch.arange(10_007))
    assert order(torch.tensor([9_999])).item() == together[9_999]
    assert torch.equal(order(torch.arange(10_007).flip(0)), together.flip(0))


def test_the_key_decides():
    """Epochs and seeds are keys; any two share about one fixed place."""
    one = shuffle(5000, "order", 0, 0)
    assert torch.equal(one, shuffle(5000, "order", 0, 0))
    for other in (shuffle(5000, "order", 0, 1), shuffle(5000, "order", 1, 0), torch.arange(5000)):
        assert int((one == other).sum()) < 10


def test_the_rows_of_a_key_stay_what_they_are():
    """A change here changes the course of every training on shards: it must be meant."""
    assert shuffle(10, "fixed").tolist() == [1, 9, 2, 7, 6, 5, 3, 8, 0, 4]
    large = Permutation(10**10, generator("test", "fixed"))
    assert large(torch.arange(3)).tolist() == [1185315306, 2315272967, 5760196291]


@pytest.mark.parametrize(("n", "keys"), [(5, 5000), (10, 5000), (20, 5000), (97, 3000)])
def test_no_place_or_neighbour_is_preferred(n, keys):
    """Where row 0 lands, what stands at place 0, which row follows which, and at which distance."""
    rows = shuffles(n, keys)
    places = rows.argsort(axis=1)
    assert p_value(np.bincount(places[:, 0], minlength=n)) > 1e-3
    assert p_value(np.bincount(rows[:, 0], minlength=n)) > 1e-3
    for i in (0, n // 2, n - 2):
        apart = (rows[:, i + 1] - rows[:, i]) % n
        assert p_value(np.bincount(apart, minlength=n)[1:]) > 1e-3
        apart = (places[:, i + 1] - places[:, i]) % n
        assert p_value(np.bincount(apart, minlength=n)[1:]) > 1e-3
    if n <= 20:
        pairs = np.bincount(rows[:, 0] * n + rows[:, 1], minlength=n * n).reshape(n, n)
        assert p_value(pairs[~np.eye(n, dtype=bool)]) > 1e-3


@pytest.mark.parametrize(("n", "keys"), [(10, 5000), (97, 3000), (3000, 300)])
def test_rows_that_follow_each_other_are_as_rare_as_by_chance(n, keys):
    """Of n − 1 pairs (i, i + 1), (n − 1)/n stand side by side in that order on average, one a shuffle."""
    adjacent = (np.diff(shuffles(n, keys).argsort(axis=1), axis=1) == 1).sum(axis=1)
    error = adjacent.std() / keys**0.5
    assert abs(adjacent.mean() - (n - 1) / n) < 3.5 * error


def test_few_rounds_would_be_seen(monkeypatch):
    """What these tests find where a permutation is not mixed enough."""
    monkeypatch.setattr(permutation, "ROUNDS", 4)
    rows = shuffles.__wrapped__(10, 4000)
    pairs = np.bincount(rows[:, 0] * 10 + rows[:, 1], minlength=100).reshape(10, 10)
    assert p_value(pairs[~np.eye(10, dtype=bool)]) < 1e-6
