"""Every family as a run on two processes: equal weights, the scores and samples of one, exact resume."""

from __future__ import annotations

import pytest

from genlab.targets import allow_targets
from genlab.testing import Report, check_processes

LEVELS = ["data=digits", "data.batch_size=130"]  # 5 steps in an epoch; 297 test data, an odd number
BITS = ["data=digits_binary", "data.batch_size=130"]
AIS = ["likelihood=ais", "likelihood.temperatures=20", "likelihood.chains=12"]
BITS_OF = ["model.network.hidden=[16]", "model.kernel.steps=5", "model.bound_steps=2", *BITS]
WINDOW = ["likelihood=window", "likelihood.n=500"]
MADE = ["model=made", "model.hidden=[16]", "trainer.accumulate_grad_batches=2", *LEVELS]
UNET = [
    *("model=diffusion", "denoiser=unet", "denoiser.network.channels=[8,8]"),
    *("model.steps=5", "model.bound_steps=2", *LEVELS),
]
DBN = ["model=dbn", "model.hidden=[16,16]", "model.labels=true", "model.up_down=true", *AIS, *BITS]
AVERAGES = "pytorch_lightning.callbacks.EMAWeightAveraging"
MEAN = [f"+callbacks.mean._target_={AVERAGES}", "+callbacks.mean.use_buffers=false"]
FAMILIES = {
    "made": [*MADE, "stages.fit.ema=0.9"],
    "diffusion": ["model=diffusion", "model.steps=5", "model.bound_steps=2", *LEVELS],
    "unet": UNET,
    "logistic": ["model=made_logistic", "model.hidden=[16]", *LEVELS],
    "binomial": ["model=diffusion_binomial", *BITS_OF],
    "absorbing": ["model=diffusion_absorbing", *BITS_OF],
    "gmmn": ["model=gmmn", "model.hidden=[16]", *WINDOW, *LEVELS],
    "gmmn_ae": ["model=gmmn_ae", "model.hidden=[16]", "model.encoder=[16,8]", *WINDOW, *LEVELS],
    "draw": [
        "model=draw",
        "model.glimpses=2",
        "model.hidden=16",
        "model.read=3",
        "model.write=3",
        "likelihood=iwae",
        "likelihood.k=2",
        *LEVELS,
    ],
    "rbm": ["model=rbm", "model.hidden=16", "model.labels=true", *AIS, *BITS],
    "dbn": DBN,
    "deep_autoencoder": ["model=deep_autoencoder", "model.hidden=[16,4]", *LEVELS],
    "stack_classifier": [
        "model=stack_classifier",
        "model.hidden=[16,8]",
        "model.dropout=0.2",
        *LEVELS,
    ],
    "made_averaged": [*MADE, *MEAN],  # by a callback that somebody has added
    "made_fsdp": [*MADE, "stages.fit.ema=0.9", "trainer.strategy=fsdp"],
    "made_deepspeed": [*MADE, "stages.fit.ema=0.9", "trainer.strategy=deepspeed"],
    "unet_fsdp": [*UNET, "trainer.strategy=fsdp"],
    "unet_deepspeed": [*UNET, "trainer.precision=bf16-mixed", "trainer.strategy=deepspeed"],
    "dbn_deepspeed": [*DBN, "trainer.strategy=deepspeed"],
    "pca": ["model=pca", "model.components=4", *LEVELS],
    "chow_liu": ["model=chow_liu", *BITS],
    "independent": ["model=independent", *LEVELS],
}


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    allow_targets([AVERAGES])
    return dict(zip(FAMILIES, check_processes(*FAMILIES.values()), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_on_two_processes(reports, family):
    reports[family].raise_if_failed()
