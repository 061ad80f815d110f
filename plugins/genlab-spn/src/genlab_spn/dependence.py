"""Which columns depend on each other: mutual information of pairs, and the G-test of independence.

G = 2 N I(x_c; x_d), with the mutual information I of the counts themselves, follows a chi-square law with
(L_c - 1) (L_d - 1) degrees of freedom where the columns are independent and have L_c and L_d values
(Sokal & Rohlf, Biometry, 1981).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2
from torch import Tensor


def pair_counts(hot: Tensor) -> Tensor:
    """(d, L, d, L) float64: how many rows of hot: (n, d, L) have x_c = a and x_d = b."""
    flat = hot.flatten(1)
    counts = (flat.T @ flat).double()  # whole numbers below 2^24: exact in float32
    return counts.view(*hot.shape[1:], *hot.shape[1:])


def marginals(pairs: Tensor) -> Tensor:
    """(d, L): the diagonal c = d of pairs: (d, L, d, L)."""
    return pairs.diagonal(dim1=0, dim2=2).diagonal(dim1=0, dim2=1)


def mutual_information(joint: Tensor) -> Tensor:
    """(d, d) nats of joint: (d, L, d, L), the probabilities of pairs of values."""
    entropy = -torch.xlogy(joint, joint).sum((1, 3))
    own = entropy.diagonal()
    return own[:, None] + own - entropy


def dependent_groups(hot: Tensor, significance: float) -> list[np.ndarray]:
    """The columns of hot: (n, d, L) in groups that no significant pair joins.

    significance: how rarely two independent columns are to be called dependent.
    """
    pairs = pair_counts(hot)
    g = 2 * len(hot) * mutual_information(pairs / len(hot))
    values = (marginals(pairs) > 0).sum(1)
    freedom = (values[:, None] - 1) * (values - 1)
    limit = chi2.isf(significance, freedom.clamp(min=1).numpy())
    count, group = connected_components(g.numpy() > limit, directed=False)
    return [np.flatnonzero(group == i) for i in range(count)]
