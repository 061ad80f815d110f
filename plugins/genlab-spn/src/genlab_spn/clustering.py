"""Rows in two groups, by a mixture of two distributions with independent columns, learned by EM."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ITERATIONS = 30
ENOUGH = 1e-4  # nats per row that an iteration has to gain


def two_clusters(hot: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """(n,) bool: the rows of hot: (n, d, L) that the first component explains better, and the others.

    It starts from random shares, of the default generator. smoothing: counts added to each value of a
    column.
    """
    x = hot.flatten(1)
    first = torch.rand(len(x), 1)
    share, before = torch.cat([first, 1 - first], 1), -math.inf
    for _ in range(ITERATIONS):
        counts = (share.T @ x).view(2, *hot.shape[1:]) + smoothing
        log_p = (counts / counts.sum(2, keepdim=True)).log().flatten(1)
        terms = x @ log_p.T + share.mean(0).log()
        share, now = terms.softmax(1), float(terms.logsumexp(1).mean())
        if now - before < ENOUGH:
            break
        before = now
    nearer = share[:, 0] > share[:, 1]
    return nearer, ~nearer
