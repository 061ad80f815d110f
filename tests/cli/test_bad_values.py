"""Values that no model can have: one line that begins with the whole key, exit code 2, nothing written."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cli.test_bad_input import refused

DIFFUSION, UNET = "model=diffusion data=digits", "model=diffusion data=digits denoiser=unet"
BITS = "model=diffusion_binomial"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (f"{UNET} denoiser.network.attention=[5]", "heights 8, 4: choose among these"),
        (f"{UNET} denoiser.network.channels=[]", "channels=[] must be one or more numbers"),
        (f"{UNET} denoiser.network.channels=[0]", "model.denoiser.network.channels=[0] must be"),
        (f"{UNET} denoiser.network.blocks=0", "model.denoiser.network.blocks=0 must be at least 1"),
        (f"{DIFFUSION} denoiser.network.hidden=[]", "model.denoiser.network.hidden=[] must be one"),
        (f"{DIFFUSION} denoiser.network.dropout=2", "network.dropout=2.0 must be in [0, 1)"),
        (f"{DIFFUSION} denoiser.network.channels=[8]", "Dense has no parameter 'channels'"),
        (f"{DIFFUSION} denoiser.rank=0", "model.denoiser.rank=0 must be at least 1"),
        (f"{DIFFUSION} denoiser.varianc=zero", "did you mean 'variance'?"),
        (f"{DIFFUSION} model.denoiser=unet", "model.denoiser=unet: expected keys and values"),
        (f"{DIFFUSION} network=unet", "Diffusion has no parameter 'network'"),
        (f"{BITS} network.hidden=[0]", "model.network.hidden=[0] must be one or more"),
        (f"{BITS} denoiser=unet", "BitDiffusion has no parameter 'denoiser'"),
        ("model=draw model.read=100", "model.read=100 is a window of more filters than"),
        (
            "model=made data=npz data.path=rows.npz trainer=ddp_cpu",
            "train has 1 data, fewer than the 2 processes",
        ),
        ("model=made folder=", "folder= names none: give one, as folder=runs"),
        ("model=draw model.write=0", "model.write=0 must be at least 1"),
        ("model=made model.hidden=[0]", "model.hidden=[0] must hold numbers of at least 1"),
        ("model=gmmn model.noise=0", "model.noise=0 must be at least 1"),
        ("model=dbn model.hidden=[]", "model.hidden=[] must be one or more numbers of at least 1"),
        (
            f"{UNET} denoiser.network.channels_last=true trainer=cpu trainer.precision=bf16-mixed",
            "model.denoiser.network.channels_last=true is slower in half precision on a CPU",
        ),
    ],
)
def test_values_out_of_range(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    row = np.eye(1, 4, dtype=np.uint8)
    np.savez("rows.npz", train=row, val=row, test=row)
    assert says in refused(capsys, "train", *words.split())
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npz"], "nothing is written"
