"""Lloyd's algorithm against scikit-learn's, and what a fixed point of it is."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans

from genlab.likelihood.kmeans import kmeans
from tests.likelihood.memory import random, reals


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_iterations_are_those_of_scikit_learn():
    x = random(0, 2500, reals(6)) + 5
    start = x[torch.randperm(len(x), generator=generator())[:20]]
    theirs = KMeans(20, init=start.numpy(), n_init=1, max_iter=4, tol=0, algorithm="lloyd")
    ours = kmeans(x, 20, iterations=4, generator=generator())
    np.testing.assert_allclose(ours.numpy(), centres_of(theirs, x), atol=1e-5)


def centres_of(estimator: KMeans, x: torch.Tensor) -> np.ndarray:
    """Its centres, without the warning that it has not converged."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(x.numpy()).cluster_centers_


def test_as_many_centroids_as_rows_are_the_rows():
    x = random(1, 40, reals(3))
    found = kmeans(x, 40, iterations=3, generator=generator())
    torch.testing.assert_close(found.sort(0).values, x.sort(0).values)


def test_equal_rows_leave_centroids_empty_and_finite():
    x = torch.ones(30, 2)
    assert torch.equal(kmeans(x, 5, iterations=3, generator=generator()), torch.ones(5, 2))
