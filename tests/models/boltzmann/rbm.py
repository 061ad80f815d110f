"""A restricted Boltzmann machine as a model, trained by centred persistent contrastive divergence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    AnnealingPath,
    Batch,
    DataSpec,
    GenerativeModel,
    Guarantee,
    HasEnergy,
    Stage,
    Support,
)
from genlab.data.images import Digits
from genlab.models.boltzmann import BaseRatePath, RestrictedBoltzmann, base_rates

DECAY = 0.99  # of the hidden offset


class RBM(GenerativeModel, HasEnergy):
    """The loss F(v) − F(v⁻) of persistent chains v⁻ has the gradient of contrastive divergence."""

    supports = frozenset({Support.BINARY})
    unnormalised = Guarantee.EXACT

    def __init__(
        self, spec: DataSpec, hidden: int = 16, steps: int = 1, chains: int = 100, rate: float = 0.1
    ) -> None:
        super().__init__(spec)
        self.energy = RestrictedBoltzmann(spec.size, hidden)
        self.steps, self.chains, self.rate = steps, chains, rate
        self.chain: Tensor | None = None

    @property
    def summable(self) -> int | None:
        return self.energy.summable

    def stages(self) -> Sequence[Stage]:
        sgd: Any = partial(torch.optim.SGD, lr=self.rate)
        return (
            Stage("fit", self, self.loss, optimizer=sgd, lr_schedule="linear", begin=self.begin),
        )

    @torch.no_grad()
    def begin(self, batch: Batch) -> None:
        """Start at the base rates, centred at the means of the data."""
        x = batch.x.flatten(1)
        self.energy.visible.copy_(base_rates(x))
        self.energy.centre(x.mean(0), torch.full_like(self.energy.hidden, 0.5))

    def loss(self, batch: Batch) -> Tensor:
        v = batch.x.flatten(1)
        with torch.no_grad():
            self._move_offset(v)
            chain = torch.bernoulli(v.new_full((self.chains, v.shape[1]), 0.5))
            self.chain = chain if self.chain is None else self.chain
            for _ in range(self.steps):
                self.chain = self.energy.visible_given(self.energy.hidden_given(self.chain))
        return self.energy.free_energy(v).mean() - self.energy.free_energy(self.chain).mean()

    def _move_offset(self, v: Tensor) -> None:
        e = self.energy
        now = (v @ e.weight.T + e.biases()[1]).sigmoid().mean(0)
        e.centre(e.visible_offset.clone(), DECAY * e.hidden_offset + (1 - DECAY) * now)

    def rank_state(self) -> dict[str, Tensor]:
        return {} if self.chain is None else {"chain": self.chain}

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.chain = state.get("chain")

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        assert self.summable is not None, "too many units to draw from exactly"
        return self.energy.draw(n, generator=generator).unflatten(1, self.spec.shape)

    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        return -self.energy.free_energy(x.flatten(1)).expand(k, -1)

    def log_z(self) -> float:
        return self.energy.log_z()

    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath:
        return BaseRatePath(self.energy, base_rates(x_train.flatten(1)))


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
    """A machine of 256 × 20 units trained for some seconds, the same for every test: leave it as it is."""
    x = digits("train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RBM(DIGITS, HIDDEN)
        model.begin(Batch(x))
        optimizer = torch.optim.SGD(model.parameters(), lr=model.rate)
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
