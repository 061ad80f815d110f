"""A few dozen cases of each kind; ``python -m tests.fuzz --cases 10000`` is the long form."""

from __future__ import annotations

import warnings

import pytest

from tests.fuzz.place import Place
from tests.fuzz.running import fuzz
from tests.fuzz.targets import ALL

CASES = 30


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_case_ends_well(place, name):
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as on the command line
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # likewise
        count, wrong = fuzz(ALL[name], place, CASES)
    assert count >= CASES * 0.8
    assert not wrong
