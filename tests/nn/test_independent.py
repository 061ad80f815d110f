"""Marginals of data in batches are those of all the data at once."""

from __future__ import annotations

import pytest
import torch

from genlab.contracts import DataSpec, Support
from genlab.nn.independent import marginal_head, marginals
from genlab.randomness import generator

SPECS = {
    "bits": DataSpec("bits", "", (1, 2, 3), Support.BINARY),
    "levels": DataSpec("levels", "", (4,), Support.LEVELS, levels=5),
    "reals": DataSpec("reals", "", (2, 2), Support.REAL),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_batches_together_are_the_whole(spec, at_once):
    stream = generator("rows", spec.name)
    if spec.levels is None:
        x = 1000 + torch.randn(100, *spec.shape, generator=stream) * torch.tensor([1.0, 0.01])
    else:
        x = torch.randint(spec.levels, (100, *spec.shape), generator=stream) / (spec.levels - 1)
        x[:, ..., 0] = 0  # an entry whose other levels are never seen
    whole = marginal_head(spec).marginal(x)
    found = marginals(spec, x.split(at_once))
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-6)
