"""State that each process owns survives a stop: every rank gets back its own."""

from __future__ import annotations

import pytest
import torch

from genlab.contracts import Batch, DataSpec, GenerativeModel, Stage
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from genlab.training.checkpoint_files import load_checkpoint
from tests.training.small import Bits


class Chained(GenerativeModel):
    """Its chain walks on by rank + 1 at every step, and is no buffer."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.logit = torch.nn.Parameter(torch.zeros(spec.size))
        self.chain: torch.Tensor | None = None

    def stages(self):
        return (Stage("fit", self, self.loss, max_epochs=2),)

    def loss(self, batch: Batch) -> torch.Tensor:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        self.chain = (torch.zeros(3) if self.chain is None else self.chain) + rank + 1
        return (batch.x.flatten(1) - self.logit).square().mean()

    def rank_state(self):
        return {} if self.chain is None else {"chain": self.chain}

    def load_rank_state(self, state):
        self.chain = state.get("chain")

    def sample(self, n, *, label=None, generator):
        return torch.zeros(n, *self.spec.shape)


@pytest.mark.parametrize(("strategy", "devices"), [("auto", 1), ("ddp_fork", 2)])
def test_every_rank_gets_back_its_own(tmp_path, strategy, devices):
    data = Bits()
    run = RunDirectory(tmp_path)
    settings = TrainerSettings(accelerator="cpu", strategy=strategy, devices=devices)
    for epochs in (1, 2):
        model = Chained(data.spec)
        stage = Stage("fit", model, model.loss, max_epochs=epochs)
        run.finished("fit").unlink(missing_ok=True)
        fit(model, data, [stage], run, settings, seed=0)
    states = load_checkpoint(run.checkpoint("fit", "last"))["rank_state"]
    steps = 2 * len(data.dataset("train")) // data.batch_size // devices
    assert [state["chain"][0].item() for state in states] == [
        steps * (r + 1) for r in range(devices)
    ]
