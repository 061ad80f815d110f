"""k-means: k points that stand for many, by Lloyd's algorithm.

S. P. Lloyd: Least squares quantization in PCM. IEEE Transactions on Information Theory 28, 1982,
https://doi.org/10.1109/TIT.1982.1056489
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from genlab.nn.precision import products
from genlab.progress import progress

ROWS = 1024  # assigned at a time, whatever the memory: no centroid depends on how much there is


def kmeans(x: Tensor, k: int, *, iterations: int, generator: Generator) -> Tensor:
    """(k, D) centroids of x: (N, D) with k ≤ N, after a fixed number of iterations from k random rows.

    A centroid that is nearest to no row stays where it is. One iteration takes N·k·D multiply-adds.
    """
    mean = x.mean(0)  # products of centred points are smaller, and lose fewer digits
    start = torch.randperm(len(x), generator=generator, device=generator.device)[:k].to(x.device)
    centroids = x[start] - mean
    with progress("k-means", iterations) as advance:
        for i in range(iterations):
            centroids = _moved(x, mean, centroids)
            advance(i + 1, "iterations")
    return centroids + mean


def _moved(x: Tensor, mean: Tensor, centroids: Tensor) -> Tensor:
    """Each centroid at the mean of the rows that are nearest to it."""
    sums, counts = torch.zeros_like(centroids), centroids.new_zeros(len(centroids), 1)
    half_squares = centroids.square().sum(1) / 2
    for rows in x.split(ROWS):
        centred = rows - mean
        nearest = (half_squares - products(centred, centroids)).argmin(1)
        sums.index_add_(0, nearest, centred)
        counts.index_add_(0, nearest, torch.ones_like(centred[:, :1]))
    return torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
