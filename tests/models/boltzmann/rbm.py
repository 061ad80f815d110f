"""Machines that several tests look at."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from genlab.contracts import Batch, DataSpec, Support
from genlab.data.images import Digits
from genlab.models.boltzmann import RBM, RestrictedBoltzmann

DIGITS = DataSpec("digits", "threshold 8, 16×16", (1, 16, 16), Support.BINARY)
HIDDEN, EPOCHS, BATCH = 16, 30, 20


def digits(split: str) -> Tensor:
    """(N, 1, 16, 16): the 8×8 digits, 1 where the level is at least 8, each pixel four times.

    Four bits that say the same give narrow modes, which annealing finds as hard as those of MNIST.
    """
    x = (torch.from_numpy(Digits().read(split).x) >= 8).float()
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


@lru_cache
def trained() -> RBM:
    """A machine of 256 × 16 units trained for some seconds, the same for every test: leave it as it is."""
    x = digits("train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RBM(DIGITS, HIDDEN)
        model.begin(Batch(x))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        total = EPOCHS * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                model.loss(Batch(x[rows])).backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def random_machine(
    size: int, hidden: int, scale: float = 1.0, seed: int = 0
) -> RestrictedBoltzmann:
    """With weights and biases from N(0, scale²), float64."""
    generator = torch.Generator().manual_seed(seed)
    machine = RestrictedBoltzmann(size, hidden).double()
    for parameter in machine.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = scale * noise
    return machine.requires_grad_(False)
