"""A Chow-Liu tree as a sum-product network: what stands at the leaves of a learned structure.

With π(d) the parent of column d in the tree, p(x) = Π_d p(x_d | x_π(d)). A network for it has, for each
column d and each value a of its parent, a sum over the values b of d of [x_d = b] times the sums of d's
own children for their parent's value b. The tree is the maximum spanning tree under the mutual
information of smoothed counts, and its root the column from which the others are nearest, so that the
network has few levels.

C. K. Chow, C. N. Liu: Approximating discrete probability distributions with dependence trees. IEEE
Transactions on Information Theory, 1968, https://doi.org/10.1109/TIT.1968.1054142
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path
from torch import Tensor

from genlab_spn.circuit import Builder
from genlab_spn.dependence import mutual_information, pair_counts


def add_tree(builder: Builder, hot: Tensor, columns: np.ndarray, smoothing: float) -> int:
    """Learn the tree of hot: (n, d, L), whose columns have these numbers, and return its node."""
    joint = smoothed_pairs(hot, smoothing)
    parent, order = spanning_tree(mutual_information(joint).numpy())
    levels = hot.shape[2]
    below: list[list[list[int]]] = [[] for _ in order]  # children's sums, by their parent's value
    for d in order[:0:-1]:
        given = joint[parent[d], :, d]
        log_p = (given / given.sum(1, keepdim=True)).log().tolist()
        values = _values(builder, int(columns[d]), levels, below[d])
        below[parent[d]].append([builder.sum(values, row) for row in log_p])
    root = order[0]
    values = _values(builder, int(columns[root]), levels, below[root])
    return builder.sum(values, joint[root, :, root].diagonal().log().tolist())


def _values(builder: Builder, column: int, levels: int, below: list[list[int]]) -> list[int]:
    """For each value b of a column, the product of [x = b] and of what is below given b."""
    return [
        builder.product([column * levels + b, *(child[b] for child in below)])
        for b in range(levels)
    ]


def smoothed_pairs(hot: Tensor, smoothing: float) -> Tensor:
    """(d, L, d, L) p(x_c = a, x_d = b) of hot: (n, d, L), with α counts added to each value of a column and
    spread evenly over the values of the other one; on the diagonal c = d, p(x_d = b).
    """
    n, size, levels = hot.shape
    joint, own = pair_counts(hot) + smoothing / levels, torch.arange(size)
    joint[own, :, own] += smoothing * torch.eye(levels).double() - smoothing / levels
    return joint / (n + smoothing * levels)


def spanning_tree(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(d,) the parent of each column in the maximum spanning tree of weight: (d, d) ≥ 0, and (d,) an
    order with parents first.
    """
    tree = minimum_spanning_tree(-1 - weight)  # weights of zero would be no edges
    tree.data[:] = 1
    depth = shortest_path(tree, directed=False).max(1)
    order, parent = breadth_first_order(tree, int(depth.argmin()), directed=False)
    return parent, order
