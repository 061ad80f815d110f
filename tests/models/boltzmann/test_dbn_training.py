"""A stack trained as a run: on two processes, and killed in the middle of its second machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from genlab.contracts import Batch
from genlab.data import Threshold, digits
from genlab.models.boltzmann import DBN
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from genlab.training.checkpoint_files import load_checkpoint
from tests.training.killing import finish, kill_in_mid_epoch, start

WORDS = [
    "model=dbn",
    "data=digits_binary",
    "model.hidden=[20,64]",
    "model.up_down=true",
    "model.labels=true",
    "data.batch_size=10",  # 130 steps in an epoch
    "stages.rbm1.max_epochs=1",
    "stages.rbm2.max_epochs=6",
    "stages.up_down.max_epochs=1",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.checkpoint_minutes=0",  # a checkpoint every 50 steps
    "evaluate=[]",
    "gallery=false",
]


class Witnessed(DBN):
    """Each process writes down its weights at every step."""

    folder: Path

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        torch.save(self.state_dict(), self.folder / f"{self.stage.name}-{self.global_rank}.pt")
        return super().training_step(batch, index)


def test_two_processes_train_all_stages_with_equal_weights_and_chains_of_their_own(tmp_path):
    data = digits(100, Threshold(8))
    torch.manual_seed(0)
    model = Witnessed(data.spec, (16, 64), labels=True, up_down=True)
    model.folder = tmp_path
    settings = TrainerSettings(accelerator="cpu", strategy="ddp_fork", devices=2)
    run = RunDirectory(tmp_path / "run")
    for stage in model.stages():
        object.__setattr__(stage, "max_epochs", 1)
        fit(model, data, [stage], run, settings, seed=0)
        first, second = (torch.load(tmp_path / f"{stage.name}-{rank}.pt") for rank in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first), stage.name
    ours, theirs = load_checkpoint(run.checkpoint("rbm2", "last"))["rank_state"]
    assert ours["rbm2 v"].shape == theirs["rbm2 v"].shape == (100, 26)
    assert not torch.equal(ours["rbm2 v"], theirs["rbm2 v"])


@pytest.mark.slow
def test_killed_inside_the_second_machine_and_resumed_equals_undisturbed(tmp_path):
    undisturbed = finish(start(tmp_path / "a", WORDS))
    process = start(tmp_path / "b", WORDS)
    kill_in_mid_epoch(process, tmp_path / "b", "rbm2", after=100)
    resumed = finish(start(tmp_path / "b", [*WORDS, "--resume", "auto"]))
    assert os.listdir(tmp_path / "b") == [resumed.name]
    for stage in ("rbm1", "rbm2", "up_down"):
        first, second = (
            load_checkpoint(run / "checkpoints" / stage / "last.ckpt")
            for run in (undisturbed, resumed)
        )
        for part in ("state_dict", "rank_state"):
            ours, theirs = first[part], second[part]
            pairs = zip(ours, theirs, strict=True) if isinstance(ours, list) else [(ours, theirs)]
            for a, b in pairs:
                assert a.keys() == b.keys()
                assert all(torch.equal(a[name], b[name]) for name in a), f"{stage}: {part}"
