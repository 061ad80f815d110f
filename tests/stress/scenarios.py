"""What is run: every family, small enough to end within seconds, and long enough to be hit anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from genlab.options import options

COMMON = (
    "trainer.checkpoint_minutes=0",  # a checkpoint every 50 steps
    "trainer.threads=1",
    "data.batch_size=10",
)
SHORT = ("model.sweeps=2", "stages.finetune.max_epochs=2")
FAMILIES: dict[str, tuple[str, ...]] = {
    "made": ("model=made", "data=digits_binary", "stages.fit.max_epochs=5", "stages.fit.ema=0.9"),
    "diffusion": ("model=diffusion", "data=digits", "model.steps=20", "stages.fit.max_epochs=4"),
    "unet": (
        *("model=diffusion", "denoiser=unet", "denoiser.network.channels=[8,8]", "data=digits"),
        *("model.steps=10", "stages.fit.max_epochs=1", "data.batch_size=20"),
    ),
    "absorbing": ("model=diffusion_absorbing", "data=digits_binary", "stages.fit.max_epochs=3"),
    "draw": (
        *("model=draw", "data=digits_binary", "model.glimpses=3", "model.hidden=16"),
        *("likelihood=iwae", "likelihood.k=5", "stages.fit.max_epochs=3"),
    ),
    "gmmn": ("model=gmmn", "data=digits", "stages.match.max_steps=400"),
    "gmmn_ae": (
        *("model=gmmn_ae", "data=digits", "model.encoder=[32,8]", "stages.match.max_steps=200"),
        *(f"stages.{name}.max_steps=150" for name in ("pretrain1", "pretrain2", "finetune")),
    ),
    "rbm": ("model=rbm", "data=digits_binary", "model.hidden=20", "stages.rbm.max_epochs=3"),
    "dbn": (
        *("model=dbn", "data=digits_binary", "model.hidden=[20,15]", "model.up_down=true"),
        *("likelihood=ais", "likelihood.temperatures=100"),
        *(f"stages.{name}.max_epochs=2" for name in ("rbm1", "rbm2", "up_down")),
    ),
    "binomial": ("model=diffusion_binomial", "data=digits_binary", "stages.fit.max_epochs=3"),
    "deep_autoencoder": ("model=deep_autoencoder", "data=digits", "model.hidden=[20,8]", *SHORT),
    "stack_classifier": ("model=stack_classifier", "data=digits", "model.hidden=[20,15]", *SHORT),
    "pca": ("model=pca", "data=digits", "model.components=8"),
    "independent": ("model=independent", "data=digits"),
    "chow_liu": ("model=chow_liu", "data=digits_binary"),
    # of the packages under plugins/
    "spn": ("model=spn", "data=digits_binary", "stages.fit.max_epochs=2"),
    "learnspn": ("model=learnspn", "data=heartbeat", "data.n=1000"),
    "nsf": ("model=nsf", "data=toy2d", "data.name=moons", "data.n=1000", "stages.fit.max_epochs=2"),
}
TRAINERS = {1: "trainer=cpu", 2: "trainer=ddp_cpu"}


def installed() -> list[str]:
    """The families whose model is there."""
    models = {f"model={option.name}" for option in options("model")}
    return [family for family, words in FAMILIES.items() if words[0] in models]


@dataclass(frozen=True)
class Scenario:
    """A family on so many processes."""

    family: str
    processes: int

    @property
    def name(self) -> str:
        return f"{self.family}-{self.processes}"

    @property
    def words(self) -> list[str]:
        return [*COMMON, *FAMILIES[self.family], TRAINERS[self.processes]]
