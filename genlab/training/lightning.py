"""What Lightning would do of its own accord, and is kept from."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector


def environment(launcher: str) -> ClusterEnvironment:
    """Where a process learns its place from. Lightning would guess, and requeue SLURM's jobs itself."""
    if launcher == "slurm":
        return _Slurm(auto_requeue=False)
    return TorchElasticEnvironment() if launcher == "torchrun" else LightningEnvironment()


class _Slurm(SLURMEnvironment):
    @staticmethod
    def _validate_srun_variables() -> None:
        """Refuses nothing: --ntasks without --ntasks-per-node will do, as genlab.launch divides."""


def leave_signals_alone(trainer: Trainer) -> None:
    """They are for genlab.interrupts. Lightning's handlers talk to other processes in the middle of
    whatever this one does; and before each step its processes ask each other, waiting for the device."""
    trainer._signal_connector = _NoSignals(trainer)
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None


class _NoSignals(_SignalConnector):
    def register_signal_handlers(self) -> None:
        """Registers none."""


class NoProfiler(PassThroughProfiler):
    """Measures nothing, as Lightning's own does, but without a generator around each of 57 hooks a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._nothing


class Threads(Callback):
    """Lightning sets a thread count of its own when it launches processes; this puts ours back."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        torch.set_num_threads(self.threads)
