"""What a trainer's precision and the parts of a model make of each other, before anything is trained."""

from __future__ import annotations

from functools import partial

import pytest

from genlab.contracts import DataSpec, Support, UsageError
from genlab.models.diffusion import BitDiffusion
from genlab.nn.unet import UNet
from genlab.training import TrainerSettings

BITS = DataSpec("bits", "", (1, 4, 4), Support.BINARY)


@pytest.mark.parametrize(
    ("precision", "accelerator", "device"),
    [
        ("bf16-mixed", "cpu", "cpu"),
        ("16-mixed", "gpu", "cuda"),
        ("bf16-mixed", "cuda", "cuda"),
        ("32-true", "cpu", None),
        ("bf16-true", "cpu", None),  # casts the weights, without autocast
    ],
)
def test_where_layers_compute_in_half_precision(precision, accelerator, device):
    assert TrainerSettings(accelerator=accelerator, precision=precision).autocast_on == device


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (1, "cuda")])
def test_a_gpu_that_is_found_is_the_one(monkeypatch, gpus, device):
    """Of CUDA: Apple's cannot sum in float64."""
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert TrainerSettings(precision="bf16-mixed").autocast_on == device


def test_a_part_that_is_for_float32_alone_is_refused_by_its_whole_key():
    network = partial(UNet, channels=(8,), channels_last=True)
    model = BitDiffusion(BITS, network=network)
    TrainerSettings(accelerator="gpu", precision="bf16-mixed").require_precision(model)
    TrainerSettings(accelerator="cpu").require_precision(model)
    with pytest.raises(UsageError, match=r"^model\.network\.channels_last=true is slower"):
        TrainerSettings(accelerator="cpu", precision="bf16-mixed").require_precision(model)
