"""Spaces: all states once, and a skewed distribution at least a nat away from uniform."""

import math

import pytest
import torch

from genlab.contracts import DataSpec, Support
from genlab.randomness import generator
from genlab.testing.spaces import SMALL, space_of
from genlab.testing.statistics import g_test

SPECS = [spec for specs in SMALL.values() for spec in specs]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.support} {spec.shape}")
def space(request):
    return space_of(request.param)


def test_the_states_are_the_whole_space(space):
    assert space.spec.contains(space.states)
    assert len(space.states.unique(dim=0)) == len(space.states)
    if space.spec.levels:
        assert len(space.states) == space.spec.levels**space.spec.size
    assert torch.equal(space.cell_of(space.states), space.cell)
    assert torch.equal(space.coarse.cell_of(space.coarse.states), space.coarse.cell)
    assert space.coarse.cells == space.cells


def test_the_skewed_distribution_is_normalised_and_far_from_uniform(space):
    p = space.target() * space.volume
    assert float(p.sum()) == pytest.approx(1, abs=1e-4)
    kl = float(torch.special.xlogy(p, p * len(p)).sum())
    assert kl >= 1


def test_draws_follow_the_skewed_distribution(space):
    x, which = space.draw(20_000, generator("draws"))
    assert which.max() == 2
    masses = space.masses(space.target().log())
    probabilities = torch.cat([masses, torch.zeros(1)])
    assert g_test(space.counts(x), probabilities / probabilities.sum()) > 1e-4


def test_the_skewed_distribution_has_no_symmetry():
    """Neither reversed nor transposed, and inverted least of all, is it the same."""
    for spec in SMALL[Support.BINARY]:
        space = space_of(spec)
        p = space.target()
        for moved in (space.states.flip(-1, -2), space.states.transpose(-1, -2), 1 - space.states):
            q = p[space.cell_of(moved)]
            assert float((p - q).abs().sum()) > 0.1


def test_what_is_in_no_cell_is_counted_apart():
    plane = space_of(SMALL[Support.REAL][0])
    x = torch.tensor([[0.0, 0.0], [9.0, 0.0], [math.nan, 0.0], [math.inf, -math.inf]])
    assert int(plane.counts(x)[-1]) == 3
    bits = space_of(SMALL[Support.BINARY][0])
    assert int(bits.counts(torch.full((2, 1, 2, 2), 3.0))[-1]) == 2


def test_large_spaces_show_some_of_their_states():
    for spec in (
        DataSpec("big", "fixed", (1, 28, 28), Support.BINARY),
        DataSpec("big", "fixed", (3, 4, 4), Support.LEVELS, levels=256),
        DataSpec("big", "fixed", (7,), Support.REAL),
    ):
        space = space_of(spec)
        assert not space.enumerable
        assert space.spec.contains(space.states)
