"""What enters a loss otherwise than as a mean over data is that of all processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, Stage, Support, Trainable
from genlab.models.boltzmann import Contrastive, units
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.units import Bernoulli
from genlab.models.draw import DRAW
from genlab.nn.mlp import MLP
from genlab.randomness import generator, scope
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from tests.training.small import Fixed

ROWS, SIZE = 60, 6
SPEC = DataSpec("bits", "made up", (SIZE,), Support.BINARY)


def bits(batch_size: int) -> Fixed:
    """60 data whose first half has other frequencies than the second."""
    p = torch.linspace(0.1, 0.9, ROWS)[:, None].expand(ROWS, SIZE)
    return Fixed(SPEC, torch.bernoulli(p, generator=generator("bits")), batch_size)


class Losing(Trainable):
    """A module and a loss of it."""

    def __init__(self, module: nn.Module, of: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.of = module, of

    def loss(self, batch: Batch) -> Tensor:
        return self.of(batch.x)


def normalised() -> Losing:
    """Batch normalisation; its output is squared, as its mean is zero whatever the weights."""
    network = MLP(SIZE, (5, 4), 3, normalise=True)
    return Losing(network, lambda x: (network(x) - x[:, :3]).square().sum(1).mean())


def sparse() -> Losing:
    """Units that are wanted to be on half as often as they are; everything else of the loss is a mean."""
    machine = RestrictedBoltzmann(Bernoulli(SIZE), Bernoulli(4))
    nn.init.normal_(machine.weight)
    settings = {"sampler": "reconstruction", "sparsity": 0.2, "sparsity_cost": 3.0}
    teacher = Contrastive(machine, **settings)
    return Losing(machine, teacher.loss)


def free_bits() -> Losing:
    """A divergence that is, of all data, a little below what is free, and of half of them above it."""
    model = DRAW(SPEC, glimpses=3, hidden=4, latent=4)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    x = bits(ROWS).x
    model.free_bits = 1.002 * model._terms(x, torch.randn_like)[1].mean(1)[1].item()
    return Losing(model, lambda x: model.loss(Batch(x)))


def stepped(folder: Path, build: Callable[[], Losing], processes: int) -> dict[str, Tensor]:
    """Weights and buffers after three steps on all data."""
    with scope("weights"):
        model = build()
    optimizer = partial(torch.optim.SGD, lr=0.1)
    stage = Stage("fit", model.module, model.loss, optimizer=optimizer, max_steps=3)
    strategy = "auto" if processes == 1 else "ddp_fork"
    settings = TrainerSettings(accelerator="cpu", strategy=strategy, devices=processes)
    run = RunDirectory(folder / str(processes))
    fit(model, bits(ROWS // processes), [stage], run, settings, seed=0)
    return model.state_dict()


@pytest.mark.parametrize("build", [normalised, sparse, free_bits])
def test_two_processes_take_the_steps_of_one(tmp_path, build, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)  # noise is each process's own
    monkeypatch.setattr(units, "bernoulli", lambda p, _: p)
    with scope("weights"):
        before = build().state_dict()
    one, two = (stepped(tmp_path, build, n) for n in (1, 2))
    assert any(not torch.equal(before[k], one[k]) for k in one)
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-6, rtol=1e-5, msg=name)
