"""``python -m tests.training.strategies FOLDER``: families on two processes, by each strategy.

In FOLDER/NAME/STRATEGY it leaves the runs; in FOLDER/NAME/BEFORE-AFTER those that one strategy began and
another ended; in FOLDER/kept how much each process held of the weights, and of the averages of Adam, which
hooks of a callback were called, and how many engines of DeepSpeed are left in the end.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn, optim
from torch.distributed.fsdp import FSDPModule

import genlab
from genlab.api import Plan
from genlab.contracts import DataSpec, UsageError
from genlab.interrupts import Interrupted
from genlab.models.made import MADE as MADENetwork
from genlab.rank import rank
from genlab.runs import write_json
from genlab.targets import allow_targets
from genlab.testing.witness import Witness
from genlab.training import stopping
from tests.training.test_families import FAMILIES, MADE

STRATEGIES = ("ddp", "fsdp", "deepspeed")
UNUSED = "ddp_find_unused_parameters_true"
HERE = "tests.training.strategies."
OPTIMIZERS = {
    # keeps nothing where a run goes on
    "momentum_later": [
        "optimizer=sgd",
        "optimizer.momentum=0",
        "stages.fit.momentum_schedule={10:0.9}",
    ],
    "two_groups": [f"optimizer._target_={HERE}two_groups", "+optimizer._partial_=true"],
}
BUILT_IN = ("made", "unet", "draw", "gmmn_ae", "rbm", "dbn", "deep_autoencoder")
CHOSEN = {
    **{name: FAMILIES[name] for name in BUILT_IN},
    **{name: [*MADE, *words] for name, words in OPTIMIZERS.items()},
}
ODD = [*MADE, f"model._target_={HERE}Odd"]
CHANGES = (
    ("dbn", "ddp", "fsdp"),
    ("dbn", "fsdp", "deepspeed"),
    ("dbn", "deepspeed", "ddp"),
    ("momentum_later", "ddp", "fsdp"),
    ("momentum_later", "fsdp", "deepspeed"),
    ("odd", UNUSED, "fsdp"),
)
STEPS = 12  # of each stage, more than an epoch
ON_CPU = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.threads=1", "evaluate=[]"]


class Kept(Witness):
    """What this process has of a run that it trains, where no stage begins with another's averages."""

    def __init__(self, file: str) -> None:
        self.file, self.hooks = Path(file), set[str]()

    def on_before_backward(self, *_: Any) -> None:
        self.hooks.add("before")

    def on_after_backward(self, *_: Any) -> None:
        self.hooks.add("after")

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Weights stay gathered, as a forward pass of its own would leave them."""
        for part in (part for part in module.modules() if isinstance(part, FSDPModule)):
            part.unshard()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        averages = [
            _own(s["exp_avg"]) for s in trainer.optimizers[0].state.values() if "exp_avg" in s
        ]
        parameters = list(module.parameters())
        seen = {
            "all": sum(p.numel() for p in parameters),
            "weights": sum(_own(p) for p in parameters),
            "averages": sum(averages),
            "ema": sum(_own(p) for p in _averaged(trainer)),
            "hooks": sorted(self.hooks),
        }
        write_json(self.file.with_suffix(f".{trainer.global_rank}.json"), seen)


class Odd(MADENetwork):
    """One of its weights takes no part, and begins the optimizer's list."""

    def __init__(self, spec: DataSpec, hidden: tuple[int, ...]) -> None:
        super().__init__(spec, hidden)
        self.first = nn.Parameter(torch.zeros(3))


def two_groups(weights: Iterable[nn.Parameter], **options: Any) -> optim.Optimizer:
    first, *rest = weights
    return optim.Adam([{"params": [first], "lr": 1e-3}, {"params": rest}], **options)


def _averaged(trainer: Any) -> Iterable[Any]:
    found = (c for c in trainer.callbacks if isinstance(c, EMAWeightAveraging))
    return next(found)._average_model.parameters()


def _own(x: Any) -> int:
    return x.to_local().numel() if hasattr(x, "to_local") else x.numel()


def words(name: str) -> list[str]:
    """With averaged weights. Of a convolution Adam would make much of the rounding."""
    given = ODD if name == "odd" else CHOSEN[name]
    if name == "unet":
        given = [*given, "optimizer=sgd", "optimizer.lr=1e-4"]
    trained = [stage.name for stage in Plan(given).stages if stage.solve is None]
    options = [
        f"stages.{stage}.{key}" for stage in trained for key in (f"max_steps={STEPS}", "ema=0.5")
    ]
    return [*given, *options, *ON_CPU]


def main(folder: Path) -> None:
    allow_targets(["genlab.testing.witness.", HERE])
    for name in CHOSEN:
        for strategy in STRATEGIES:
            own = [f"trainer.strategy={strategy}", f"folder={folder / name / strategy}"]
            if name == "draw":
                own += [f"+callbacks.kept._target_={HERE}Kept"]
                own += [f"+callbacks.kept.file={folder / 'kept' / strategy}"]
            genlab.train(*words(name), *own)
    genlab.train(*words("odd"), f"trainer.strategy={UNUSED}", f"folder={folder / 'odd' / 'ddp'}")
    for name, before, after in CHANGES:
        _change(name, folder / name / f"{before}-{after}", before, after)
    try:
        _change("odd", folder / "odd" / "refused", UNUSED, "deepspeed")
    except UsageError as error:
        write_json(folder / "kept" / f"refused.{rank()}.json", {"says": str(error)})
    gc.collect()
    engines = [thing for thing in gc.get_objects() if type(thing).__name__ == "DeepSpeedEngine"]
    write_json(folder / "kept" / f"engines.{rank()}.json", {"alive": len(engines)})


def _change(name: str, folder: Path, before: str, after: str) -> None:
    """In the middle of a stage, of ``dbn`` one that trains a part of the model."""
    stopping.SECONDS = 0.0  # processes agree on stopping after every step
    witness = "+callbacks.witness._target_=genlab.testing.witness.Witness"
    own = [*words(name), witness, f"folder={folder}"]
    Witness.to_stop.add("rbm2" if name == "dbn" else "fit")
    with suppress(Interrupted):
        genlab.train(*own, f"trainer.strategy={before}")
    genlab.train(*own, f"trainer.strategy={after}", resume="auto")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
