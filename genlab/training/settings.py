"""Where and how a run is trained: the config group ``trainer``, and the Lightning Trainer it makes."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from genlab import launch
from genlab.contracts import UsageError
from genlab.nn.precision import NeedsFloat32
from genlab.runs import fair_threads
from genlab.training.lightning import NoProfiler, NoSignals, Threads, environment
from genlab.training.sharding import strategy

# Lightning 2.6's own tree code asks torch an outdated question at every fit and predict.
warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)


@dataclass(frozen=True)
class TrainerSettings:
    """The options of a Trainer that a run may set. Epochs and steps belong to stages.

    devices: processes on this node; -1 for one per GPU. launcher: who starts them; torchrun and SLURM
    say how many devices and nodes there are (``trainer=torchrun``, ``trainer=slurm``).
    threads: OpenMP threads per process; by default the processors divided by the processes, at most
    eight. precision: as Lightning names it.
    workers: processes, for each of these, that read batches ahead: for data that are decoded or
    fetched as they are asked for. They change no number.
    compile: the loss of each stage, by torch.compile: a minute or more before the first step, and faster
    steps where a model makes many small ones.
    checkpoint_minutes: the longest stretch of training that a crash can lose, beside whole epochs.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = 1
    num_nodes: int = 1
    launcher: Literal["genlab", "torchrun", "slurm"] = "genlab"
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"] = "32-true"
    threads: int | None = None
    workers: int = 0
    compile: bool = False
    gradient_clip_val: float | None = None
    accumulate_grad_batches: int = 1
    check_val_every_n_epoch: int = 1
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "num_nodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"trainer.{name}={getattr(self, name)} must be at least 1")
        if self.devices < 1 and self.devices != -1:
            raise UsageError(f"trainer.devices={self.devices} must be at least 1, or -1 for all")
        if self.workers < 0:
            raise UsageError(f"trainer.workers={self.workers} must be at least 0")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"trainer.threads={self.threads} must be at least 1")

        if self.launcher == "genlab" and self.num_nodes > 1:
            raise UsageError(
                f"trainer.num_nodes={self.num_nodes}: genlab starts processes on one machine; start them "
                "on several with torchrun and trainer=torchrun, or with srun and trainer=slurm"
            )

    @property
    def processes(self) -> int:
        """How many processes take part."""
        gpus = torch.cuda.device_count() if self.accelerator not in ("cpu", "mps") else 0
        return (max(1, gpus) if self.devices == -1 else self.devices) * self.num_nodes

    @property
    def shards(self) -> bool:
        """Whether each process keeps only a part of the weights while it trains."""
        return self.strategy == "fsdp"

    @property
    def autocast_on(self) -> str | None:
        """The type of device on which layers compute in half precision; None where they do not."""
        if not self.precision.endswith("-mixed"):
            return None
        if self.accelerator != "auto":
            return "cuda" if self.accelerator == "gpu" else self.accelerator
        found = torch.accelerator.current_accelerator(check_available=True)
        return "cpu" if found is None else found.type

    def require_precision(self, model: nn.Module) -> None:
        """Raise UsageError for a part of the model that is not for this precision."""
        device = self.autocast_on
        if device is None:
            return
        for name, part in model.named_modules():
            if isinstance(part, NeedsFloat32):
                try:
                    part.refuse_half(device)
                except UsageError as error:
                    raise UsageError(f"model.{name}.{error}") from None

    def unsharded(self) -> TrainerSettings:
        """For what needs the weights alone, without gradients and an optimizer's averages."""
        return replace(self, strategy="ddp") if self.shards else self

    def join(self) -> None:
        """Let processes that torchrun or SLURM started find each other; genlab starts its own when the
        first trainer is made.

        Raises UsageError where another number of processes was started.
        """
        launch.take_place(self.launcher, self.processes)
        if self.launcher != "genlab" and self.processes > 1:
            self.trainer([]).strategy.setup_environment()

    def choose_threads(self) -> int:
        """Right on an idle machine and, as its waiting threads soon sleep, on a busy one."""
        if self.threads is not None:
            return self.threads
        if "OMP_NUM_THREADS" in os.environ:
            return int(os.environ["OMP_NUM_THREADS"])
        return fair_threads(self.devices)

    def trainer(self, callbacks: Sequence[Callback], **options: Any) -> Trainer:
        """A fresh Trainer that says nothing of its own: progress and records are genlab's."""
        for name in ("pytorch_lightning", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        launch.take_place(self.launcher, self.processes)
        rank_zero_only.rank = launch.rank()
        torch.set_num_threads(self.choose_threads())
        options.setdefault("logger", False)
        options["plugins"] = [*options.get("plugins", []), environment(self.launcher)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*GPU available but not used.*")  # chosen on purpose
            made = Trainer(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.num_nodes,
                strategy=strategy(self.processes) if self.shards else self.strategy,
                precision=self.precision,
                callbacks=[Threads(self.choose_threads()), *callbacks],
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=False,
                profiler=NoProfiler(),
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
                inference_mode=False,
                **options,
            )
        made._signal_connector = NoSignals(made)
        if self.launcher == "genlab" and not re.search("fork|spawn|notebook", self.strategy):
            launch.start(self.processes)
        return made
