"""Binary heartbeat: sequences whose true log-probability is known, log 1/5.

Source: J. Sohl-Dickstein, E. Weiss, N. Maheswaranathan, S. Ganguli, Deep unsupervised learning using
nonequilibrium thermodynamics, ICML 2015, https://arxiv.org/abs/1503.03585, section 3.1.2.
"""

from __future__ import annotations

import torch

from genlab.contracts import UsageError
from genlab.data.source import Arrays, Source
from genlab.randomness import generator

LENGTH = 20
PERIOD = 5


class Heartbeat(Source):
    """Sequences of 20 bits, 1 at every fifth from one of five phases, all equally likely; the label is it.

    n for training and n // 5 in val and test, a function of (seed, split).
    """

    def __init__(self, n: int = 10_000, seed: int = 0) -> None:
        if n < 10:
            raise UsageError(f"n={n} sequences are too few: at least 10, for 2 in val and in test")
        super().__init__("heartbeat", (LENGTH,), levels=2, classes=PERIOD)
        self.n, self.seed = n, seed

    def read(self, split: str) -> Arrays:
        n = self.n if split == "train" else self.n // 5
        phase = torch.randint(PERIOD, (n,), generator=generator("heartbeat", self.seed, split))
        beats = torch.arange(LENGTH) % PERIOD == phase[:, None]
        return Arrays(beats.byte().numpy(), phase.numpy())
