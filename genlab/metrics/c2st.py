"""Classifier two-sample test: can a network be trained to tell samples from real data?

It is trained on half of each set and asked about the other half. Under the null hypothesis its accuracy
is normal with mean ½ and variance 1 / 4n, n the number of rows asked about.
Source: D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, 2017, arXiv:1610.06545.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.metrics.base import SampleMetric, Values
from genlab.metrics.memorisation import normal_cdf
from genlab.randomness import generator, scope
from genlab.ranges import at_least

BATCH = 100
RATE = 1e-3
DECAY = 1e-2


class C2ST(SampleMetric):
    """``accuracy`` on rows that were not trained on (½: cannot be told apart; lower is better), its
    standard error ``stderr``, and the one-sided ``p_value`` of equal distributions.

    hidden: rectified units of the one hidden layer. epochs: passes of Adam over the training half.
    Samples and real data must not share rows: a shared row in both halves with both labels pulls the
    accuracy below ½.
    """

    name = "c2st"
    shown = ("accuracy", "p_value")

    def __init__(
        self,
        seed: int = 0,
        hidden: int = 64,
        epochs: int = 20,
        features: nn.Module | None = None,
    ) -> None:
        super().__init__(seed, features)
        at_least(1, hidden=hidden, epochs=epochs)
        self.hidden, self.epochs = hidden, epochs

    @property
    def settings(self) -> dict[str, Any]:
        return {"hidden": self.hidden, "epochs": self.epochs}

    @property
    def least(self) -> int:
        return 10

    def between(self, samples: Tensor, real: Tensor) -> Values:
        halves = [self._halves(x, side) for side, x in (("samples", samples), ("real", real))]
        (train, train_label), (test, test_label) = (
            _labelled(*pair) for pair in zip(*halves, strict=True)
        )
        mean, scale = train.mean(0), train.std(0)
        scale = scale.where(scale > 0, 1.0)
        network = self._fit((train - mean) / scale, train_label)
        with torch.no_grad():
            right = (network((test - mean) / scale).squeeze(1) > 0) == test_label
        accuracy, n = right.double().mean().item(), len(test)
        return {
            "accuracy": accuracy,
            "stderr": math.sqrt(accuracy * (1 - accuracy) / n),
            "p_value": normal_cdf((0.5 - accuracy) * 2 * math.sqrt(n)),
        }

    def _halves(self, x: Tensor, side: str) -> tuple[Tensor, Tensor]:
        """Disjoint halves of the rows, at random."""
        order = torch.randperm(len(x), generator=generator("c2st", self.seed, side)).to(x.device)
        return x[order[: len(x) // 2]].float(), x[order[len(x) // 2 :]].float()

    def _fit(self, x: Tensor, label: Tensor) -> nn.Module:
        with scope("c2st", self.seed, "weights"):
            layers = nn.Linear(x.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1)
        network = nn.Sequential(*layers).to(x.device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        with torch.enable_grad():
            for epoch in range(self.epochs):
                order = torch.randperm(len(x), generator=generator("c2st", self.seed, epoch))
                for rows in order.to(x.device).split(BATCH):
                    logit = network(x[rows]).squeeze(1)
                    loss = F.binary_cross_entropy_with_logits(logit, label[rows].float())
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        return network


def _labelled(samples: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets in one, and which rows are samples. The larger set is cut, so that guessing gives ½."""
    n = min(len(samples), len(real))
    label = torch.arange(2 * n, device=real.device) < n
    return torch.cat([samples[:n], real[:n]]), label
