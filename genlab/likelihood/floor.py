"""The floor beside every score: the model whose entries are independent, in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genlab.contracts import DataModule, Support
from genlab.nn.heads import head_for

ROWS = 4096


def independent_floor(data: DataModule, split: str) -> float:
    """Mean nats per datum of ``split`` under independent entries with the training data's marginals.

    A mass on BINARY and LEVELS data (half a count is added to each level), the density of one
    Gaussian per dimension on REAL data.
    """
    train = _rows(data, "train")
    if data.spec.support is Support.REAL:
        return _gaussian(train, _rows(data, split))
    head = head_for(data.spec)
    theta = head.marginal(train)
    total = 0.0
    for x in _rows(data, split).split(ROWS):
        total += head.log_prob(x, theta.expand(len(x), *theta.shape)).double().sum().item()
    return total / len(data.dataset(split))


def _gaussian(train: Tensor, x: Tensor) -> float:
    mean, sd = train.double().mean(0), train.double().std(0, correction=0)
    z = (x.double() - mean) / sd
    log_p = -z.square() / 2 - sd.log() - math.log(2 * math.pi) / 2
    return log_p.flatten(1).sum(1).mean().item()


def _rows(data: DataModule, split: str) -> Tensor:
    dataset = data.dataset(split)
    return dataset[torch.arange(len(dataset))].x
