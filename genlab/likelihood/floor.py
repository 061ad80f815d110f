"""The floor beside every score: the model whose entries are independent, in closed form."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from genlab.contracts import DataModule
from genlab.contracts.loading import stretches
from genlab.nn.independent import marginal_head, marginals

ROWS = 4096


def independent_floor(data: DataModule, split: str) -> float:
    """Mean nats per datum of ``split`` under independent entries with the training data's marginals.

    A mass on BINARY and LEVELS data (half a count is added to each level), the density of one
    Gaussian per dimension on REAL data.
    """
    head = marginal_head(data.spec)
    theta = marginals(data.spec, _rows(data, "train"))
    total = 0.0
    for x in _rows(data, split):
        nats = head.log_prob(x.to(theta.dtype), theta.expand(len(x), *theta.shape))
        total += nats.double().sum().item()
    return total / len(data.dataset(split))


def _rows(data: DataModule, split: str) -> Iterator[Tensor]:
    dataset = data.dataset(split)
    for rows in stretches(len(dataset), ROWS):
        yield dataset[rows].x
