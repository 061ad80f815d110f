"""Both models keep what their base classes promise."""

from __future__ import annotations

from functools import partial

import pytest

from genlab.contracts import DataSpec, Support
from genlab.testing import assert_conforms
from genlab_spn import LearnedSPN, RandomSPN

SMALL = partial(RandomSPN, repetitions=3, sums=4, leaves=4)
MODELS = {
    "random": SMALL,
    "random, by EM": partial(SMALL, training="em"),
    "learned": LearnedSPN,
    "learned, refined by EM": partial(LearnedSPN, min_rows=400, networks=2, refine="em"),
    "learned, refined by gradient": partial(LearnedSPN, min_rows=400, refine="gradient"),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())
def test_conforms(build):
    assert_conforms(build, train_steps=300)


@pytest.mark.parametrize("build", [partial(SMALL, depth=3), partial(LearnedSPN, min_rows=100)])
def test_conforms_where_the_network_is_deep(build):
    assert_conforms(build, spec=DataSpec("bits", "skewed", (9,), Support.BINARY), train_steps=300)
