"""The random state that surrounds a model: torch's, NumPy's and Python's global generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from genlab import randomness


@contextmanager
def ambient(*parts: str | int) -> Iterator[None]:
    """Run a block with all global generators at the start of this stream; put them back afterwards."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is what is guarded)
    try:
        with randomness.scope(*parts):
            random.seed(randomness.key(*parts))
            np.random.seed(randomness.key(*parts) >> 32)  # noqa: NPY002
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def fingerprint() -> dict[str, str]:
    """The state of each global generator, as something that can be compared."""
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "NumPy": str(np.random.get_state()),  # noqa: NPY002
        "Python": str(random.getstate()),
    }
