"""A compiled loss trains the same weights, up to rounding, where it is given the same random numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import genlab
from genlab.contracts import Batch, DataSpec, Support
from genlab.models.draw import DRAW
from genlab.randomness import scope
from tests.training.running import ROOT, only_run

MODELS = {
    "made": ["model=made", "model.hidden=[8]"],
    "draw": ["model=draw", "model.glimpses=2", "model.hidden=8", "model.latent=2", "model.read=2"],
}


# torch's compiler imports parts of torch that warn of their own end
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.parametrize("name", ["made", pytest.param("draw", marks=pytest.mark.slow)])
def test_compiled_training_is_the_same_training(tmp_path, name):
    words = ["data.batch_size=325", "stages.fit.max_epochs=2", "evaluate=[]", "gallery=false"]
    words = [*MODELS[name], *words, f"folder={tmp_path}", "trainer.threads=1"]
    eager = genlab.train(*words)
    with torch._inductor.config.patch(fallback_random=True):  # it has a generator of its own
        compiled = genlab.train(*words, "trainer.compile=true")
    before = eager.model.state_dict()
    for key, weight in compiled.model.state_dict().items():
        torch.testing.assert_close(weight, before[key], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_so_it_is_on_two_processes(tmp_path):
    """Processes of their own: the compiler's threads do not outlive a fork."""

    def weights(name: str, *where: str) -> dict[str, torch.Tensor]:
        words = [*MODELS["made"], "data.batch_size=130", "stages.fit.max_epochs=1", "evaluate=[]"]
        words = [*words, "gallery=false", "trainer=ddp_cpu", "trainer.threads=1", *where]
        command = [sys.executable, "-m", "genlab", "train", *words, f"folder={tmp_path / name}"]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=300)
        return genlab.open(only_run(tmp_path / name)).model.state_dict()

    eager = weights("eager")
    for strategy in ("ddp", "fsdp"):
        compiled = weights(strategy, f"trainer.strategy={strategy}", "trainer.compile=true")
        for key, weight in compiled.items():
            torch.testing.assert_close(weight, eager[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"read": 2, "write": 2, "autoregressive": True}])
def test_draw_is_one_graph(options):
    """A break would leave Python between glimpses, whose many small operations compiling is to join."""
    spec = DataSpec("bits", "", (1, 4, 4), Support.BINARY)
    with scope("weights"):
        model = DRAW(spec, glimpses=3, hidden=4, latent=2, **options)
    x = torch.ones(2, 1, 4, 4)
    whole = torch.compile(model.loss, backend="eager", fullgraph=True)
    losses = []
    for loss in (model.loss, whole):
        with scope("noise"):
            losses.append(loss(Batch(x)))
    torch.testing.assert_close(*losses)
