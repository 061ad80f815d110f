"""What is seen of a training from inside it, and where it is asked to stop."""

from __future__ import annotations

import hashlib
import signal
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback
from torch.distributed.tensor import DTensor

STOP = 9  # the step of a stage after which it is asked to stop


class Witness(Callback):
    """A callback of the runs that ``pair`` makes; a process has one run at a time.

    to_stop: stages in which the last process has still to be asked, by a signal, to stop. seen: a hash of
    each parameter and buffer that this process held after that step of each stage and at its end, by names.
    """

    to_stop: ClassVar[set[str]] = set()
    seen: ClassVar[list[dict[str, str]]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        name = module.stage.name
        if trainer.global_step != STOP:
            return
        self.seen.append(_hashes(module))
        if name in self.to_stop:
            self.to_stop.remove(name)
            if trainer.global_rank == trainer.world_size - 1:
                signal.raise_signal(signal.SIGTERM)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self.seen.append(_hashes(module))


def _hashes(module: Any) -> dict[str, str]:
    """Of stage and name."""
    state = {f"stage {module.stage.name}: {name}": v for name, v in module.state_dict().items()}
    return {
        name: hashlib.sha256(_bytes(_whole(value))).hexdigest() for name, value in state.items()
    }


def _whole(value: torch.Tensor) -> torch.Tensor:
    """Gathered, where the processes share its numbers out."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def _bytes(value: torch.Tensor) -> bytes:
    return value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
