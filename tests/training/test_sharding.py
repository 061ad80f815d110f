"""Weights shared out among processes (FSDP2, here on the CPU): the same run as with whole copies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.api import Plan
from genlab.contracts import UsageError
from tests.stress.comparison import differences
from tests.training.killing import finish, start

COMMON = ["stages.fit.max_steps=60", "trainer.threads=1", "evaluate=[test]"]
MADE = ["model=made", "model.hidden=[64,64]", "data=digits_binary", "data.batch_size=30"]
UNET = [
    "model=diffusion",
    "model.steps=10",
    "denoiser=unet",
    "model.denoiser.network.channels=[8,16]",
    "stages.fit.ema=0",
    "stages.fit.max_steps=6",
    "optimizer=sgd",  # Adam would make much of the rounding of a gradient that is nothing
    "optimizer.lr=1e-4",
    "data=digits",
]
FSDP = ["trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2"]
WITNESS = '''
import json
from pathlib import Path
from pytorch_lightning import Callback
from torch.distributed.tensor import DTensor

class Witness(Callback):
    """Writes down what this process keeps of the weights, and of the averages of Adam."""

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def on_train_end(self, trainer, module):
        kept = [p.to_local().numel() for p in module.parameters() if isinstance(p, DTensor)]
        (optimizer,) = trainer.optimizers
        state = optimizer.state.values()
        averages = [s["exp_avg"].to_local().numel() for s in state if "exp_avg" in s]
        seen = {"all": sum(p.numel() for p in module.parameters()), "kept": sum(kept)}
        seen["averages"] = sum(averages)
        (self.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(seen))
'''


STOPPER = """
import os
import signal
from pytorch_lightning import Callback

class Stop(Callback):
    def on_train_batch_end(self, trainer, *given):
        if trainer.is_global_zero and str(trainer.global_step) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)
"""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "fit" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "rounding"), [(MADE, 0), (UNET, 1e-6)], ids=["made", "unet"])
def test_it_equals_whole_copies(tmp_path, monkeypatch, model, rounding):
    """Sums of two gradients are the same in any order: MADE's weights are the same bit for bit. A
    convolution rounds differently where its weights lie elsewhere in memory."""
    (tmp_path / "witness.py").write_text(WITNESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    witness = [
        "+callbacks.witness._target_=witness.Witness",
        f"+callbacks.witness.folder={tmp_path}",
        "--allow-target=witness.",
    ]
    whole = finish(start(tmp_path / "a", [*COMMON, *model, "trainer=ddp_cpu"]))
    shared = finish(start(tmp_path / "b", [*COMMON, *model, *FSDP, *witness]))
    expected, found = weights(whole), weights(shared)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=rounding, msg=name)
    files = [next((run / "scores").glob("test-*.json")) for run in (whole, shared)]
    scores = [json.loads(file.read_text())["nats"]["mean"] for file in files]
    assert scores[0] == pytest.approx(scores[1], rel=rounding or 1e-12)
    drawn = [np.load(run / "samples" / "seed-0.npz")["x"] for run in (whole, shared)]
    assert np.mean(drawn[0] != drawn[1]) <= (0.001 if rounding else 0)
    for rank in (0, 1):
        seen = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert seen["kept"] <= 0.52 * seen["all"], (
            "about half of the weights, as the first dimension divides"
        )
        assert seen["averages"] == (0 if "optimizer=sgd" in model else seen["kept"])


@pytest.mark.slow
@pytest.mark.parametrize("model", [MADE, UNET], ids=["made", "unet"])
def test_it_goes_on_where_it_was(tmp_path, monkeypatch, model):
    """To the same weights, optimizer, score, samples and figures."""
    (tmp_path / "stopper.py").write_text(STOPPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    words = [
        *COMMON,
        *model,
        *FSDP,
        "+callbacks.stop._target_=stopper.Stop",
        "--allow-target=stopper.",
    ]
    undisturbed = finish(start(tmp_path / "a", words))
    with monkeypatch.context() as patch:
        patch.setenv("STOP_AT", "4")
        process = start(tmp_path / "b", words)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    resumed = finish(start(tmp_path / "b", [*words, "--resume=auto"]))
    assert len(json.loads((resumed / "run.json").read_text())["sessions"]) == 2
    assert list(differences(undisturbed, resumed)) == []


def test_averaged_weights_are_refused():
    with pytest.raises(
        UsageError, match=r"stages\.fit\.ema=0\.995: .* set it to 0, or choose trainer=ddp"
    ):
        Plan([*[word for word in UNET if "ema" not in word], *FSDP])
