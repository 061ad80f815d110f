"""LearnSPN: a structure from data, by splitting columns that are independent and rows that are alike.

    columns   groups of columns that no significant pair joins are the children of a product
    rows      else the rows are split in two; the parts are the children of a sum, weighted by their rows
    leaves    few rows, or one column: a Chow-Liu tree

Robert Gens, Pedro Domingos: Learning the structure of sum-product networks. ICML 2013,
https://proceedings.mlr.press/v28/gens13.html. Splits in two, and leaves that are trees: Antonio Vergari,
Nicola Di Mauro, Floriana Esposito: Simplifying, regularizing and strengthening sum-product network
structure learning. ECML 2015, https://doi.org/10.1007/978-3-319-23525-7_21
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from genlab_spn.circuit import Builder, Layout
from genlab_spn.clustering import two_clusters
from genlab_spn.dependence import dependent_groups
from genlab_spn.trees import add_tree


@dataclass(frozen=True)
class LearnSPN:
    """min_rows: fewer are not split. significance: of the G-test that joins two columns. smoothing:
    counts α > 0 added to each value of a column. networks: how many are learned, each from rows drawn
    with replacement, and mixed; one is learned from the rows as they are (Breiman 1996, "Bagging
    predictors").
    """

    min_rows: int
    significance: float
    smoothing: float
    networks: int

    def __call__(self, level: Tensor, levels: int) -> Layout:
        """The network of level: (N, D) int64 in [0, levels). Draws from the default generator."""
        builder, n = Builder(level.shape[1] * levels), len(level)
        hot, columns = F.one_hot(level, levels).float(), np.arange(level.shape[1])
        if self.networks == 1:
            self._node(builder, hot, columns)
        else:
            parts = [hot[torch.randint(n, (n,))] for _ in range(self.networks)]
            roots = [self._node(builder, part, columns) for part in parts]
            builder.sum(roots, [-math.log(self.networks)] * self.networks)
        return builder.layout()

    def _node(self, builder: Builder, hot: Tensor, columns: np.ndarray) -> int:
        """The node of some rows and columns, hot: (n, d, L)."""
        if len(hot) < self.min_rows or len(columns) == 1:
            return add_tree(builder, hot, columns, self.smoothing)
        groups = dependent_groups(hot, self.significance)
        if len(groups) == 1:
            return self._split_rows(builder, hot, columns)
        return builder.product([self._group(builder, hot[:, g], columns[g]) for g in groups])

    def _group(self, builder: Builder, hot: Tensor, columns: np.ndarray) -> int:
        """Of columns that are known to belong together."""
        if len(columns) == 1:
            return add_tree(builder, hot, columns, self.smoothing)
        return self._split_rows(builder, hot, columns)

    def _split_rows(self, builder: Builder, hot: Tensor, columns: np.ndarray) -> int:
        parts = [hot[rows] for rows in two_clusters(hot, self.smoothing)]
        if min(len(part) for part in parts) == 0:
            return add_tree(builder, hot, columns, self.smoothing)
        nodes = [self._node(builder, part, columns) for part in parts]
        return builder.sum(nodes, [math.log(len(part) / len(hot)) for part in parts])
