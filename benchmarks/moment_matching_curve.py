"""How does the Parzen density of moment matching rise with its iterations?

  python benchmarks/moment_matching_curve.py experiment=mnist_gmmn       # 45 minutes, needs GENLAB_DATA
  python benchmarks/moment_matching_curve.py experiment=mnist_gmmn_ae

Trains as ``genlab train`` with the same words does, and stops at some iterations of the stage ``match`` to
draw 10,000 samples. Their window is scored on 1,000 validation data, with the width that is best there.
Required on MNIST: it rises, and ends at 60 nats or more, that of codes (``gmmn_ae``) at 210 or more.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from reporting import table, verdict

import genlab
from genlab.likelihood.bandwidth import choose_width, validation_rows
from genlab.likelihood.kernels import Gaussian
from genlab.likelihood.parzen import WIDTHS
from genlab.likelihood.window import drawn
from genlab.randomness import generator
from genlab.targets import allow_targets

AT = (250, 500, 1000, 2000, 4000, 8000, 12_000, 16_000, 20_000, 40_000)
SAMPLES, ROWS = 10_000, 1000


class Curve(Callback):
    """points: iterations, the last ``val/mmd2``, and the density (nats)."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float, float]] = []

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.stage.name == "match" and trainer.global_step in AT:
            mmd2 = float(trainer.callback_metrics.get("val/mmd2", torch.nan))
            found = density(module, trainer.datamodule)  # type: ignore[attr-defined]
            self.points.append((trainer.global_step, mmd2, found))
            print(f"{trainer.global_step} iterations: {found:.1f} nats", flush=True)


@torch.no_grad()
def density(model: Any, data: Any) -> float:
    """Of a window around samples, on validation data."""
    x = validation_rows(data, ROWS, "parzen_density").flatten(1)
    window = Gaussian(drawn(model, SAMPLES, generator("curve", 0)).flatten(1))
    width = choose_width(window, x, WIDTHS, "samples")
    return float(window.log_mixture(x, [width]).mean())


def curve() -> Curve:
    """What the configuration names as its callback: the one of this run."""
    return CURVE


if __name__ == "__main__":
    allow_targets(["__main__."])
    CURVE = Curve()
    genlab.train(*sys.argv[1:], "+callbacks.curve._target_=__main__.curve")
    table(
        ["iterations", "val/mmd2", "Parzen density"],
        [[f"{step:,}", f"{mmd2:.4f}", f"{nats:.1f}"] for step, mmd2, nats in CURVE.points],
    )
    nats = [point[2] for point in CURVE.points]
    least = 210 if any("gmmn_ae" in word for word in sys.argv[1:]) else 60
    missed = verdict(nats == sorted(nats), "it rises with the iterations")
    raise SystemExit(missed | verdict(nats[-1] >= least, f"{least} nats or more in the end"))
