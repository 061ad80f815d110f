"""What is run: every family, small enough to end within seconds, and long enough to be hit anywhere."""

from __future__ import annotations

from dataclasses import dataclass

COMMON = (
    "trainer.checkpoint_minutes=0",  # a checkpoint every 50 steps
    "trainer.threads=1",
    "data.batch_size=10",
)
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
    "chow_liu": ("model=chow_liu", "data=digits_binary"),
}
TRAINERS = {1: "trainer=cpu", 2: "trainer=ddp_cpu"}


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
