import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from genlab.contracts import DataSpec, Support


@pytest.fixture(scope="session")
def digits_spec():
    return DataSpec("digits", "17 levels", (1, 8, 8), Support.LEVELS, 17)


@pytest.fixture(scope="session")
def digits():
    """The 8x8 digits in 17 levels: 1300 for training, 200 for validation, 297 for testing."""
    order = np.random.RandomState(0).permutation(1797)
    images = torch.tensor(load_digits().images[order] / 16).float().unsqueeze(1)
    return images[:1300], images[1300:1500], images[1500:]
