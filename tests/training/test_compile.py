"""A compiled loss trains the same weights, up to rounding."""

from __future__ import annotations

import pytest
import torch

import genlab

QUICK = ["model=made", "model.hidden=[8]", "data.batch_size=325", "stages.fit.max_epochs=2"]


# torch's compiler imports parts of torch that warn of their own end
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
def test_compiled_training_is_the_same_training(tmp_path):
    words = [*QUICK, "evaluate=[]", "gallery=false", f"folder={tmp_path}", "trainer.threads=1"]
    eager, compiled = (genlab.train(*words, f"trainer.compile={on}") for on in ("false", "true"))
    before = eager.model.state_dict()
    for name, weight in compiled.model.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=1e-3, atol=1e-5)
