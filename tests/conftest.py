"""Tests run on one thread: two spinning threads beside a busy process make small models crawl."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)
from genlab import targets

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def trust_of_a_module():
    """What a module or a test allows configurations to name is not allowed to the next."""
    yield from _restored()


@pytest.fixture(autouse=True)
def trust_of_a_test(trust_of_a_module):
    yield from _restored()


def _restored():
    before = targets.trusted_prefixes()
    yield
    targets._trusted_prefixes[:] = before
