"""Where and how a run is trained: the config group ``trainer``, and the Lightning Trainer it makes."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import Strategy, StrategyRegistry
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from genlab import launch
from genlab.contracts import Stage, UsageError
from genlab.nn.precision import NeedsFloat32
from genlab.ranges import at_least
from genlab.rank import rank
from genlab.records import THREADS
from genlab.runs import fair_threads
from genlab.training import sharding, zero
from genlab.training.averaging import require_averageable
from genlab.training.lightning import NoProfiler, Threads, environment, leave_signals_alone

# Lightning 2.6's own tree code asks torch an outdated question at every fit and predict.
warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)

# How long a process waits for what another does alone, as a solution, an enumeration or a checkpoint: torch
# would give up after half an hour. That a process is lost is found out by other means (genlab.launch).
PATIENCE = timedelta(days=1)

# ddp_fork is for scripts, notebooks and tests: processes that live as long as one fit, or one evaluation.
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_fork", "fsdp", "deepspeed")


@dataclass(frozen=True)
class TrainerSettings:
    """The options of a Trainer that a run may set. Epochs and steps belong to stages.

    accelerator: by default the GPU where torch has one by CUDA or ROCm, else the CPU. Apple's GPUs are left
    alone: they have no float64, in which losses, chains and scores are summed.
    devices: processes on this node, at least 1; -1 for one per GPU. num_nodes: at least 1. launcher: who
    starts them. By default there is one of each, or as many as torchrun or SLURM started
    (``trainer=torchrun``, ``trainer=slurm``).
    strategy: one of STRATEGIES.
    threads: OpenMP threads per process; by default the processors divided by the processes, at most
    eight. precision: as Lightning names it.
    workers: processes, for each of these, that read batches ahead: for data that are decoded or
    fetched as they are asked for. They change no number.
    compile: the loss of each stage, by torch.compile: a minute or more before the first step, and faster
    steps where a model makes many small ones.
    checkpoint_minutes: the longest stretch of training that a crash can lose, beside whole epochs; 0 for a
    checkpoint every 50 steps.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto"
    devices: int | None = None
    num_nodes: int | None = None
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
        at_least(1, num_nodes=self.num_nodes, threads=self.threads)
        at_least(1, accumulate_grad_batches=self.accumulate_grad_batches)
        at_least(1, check_val_every_n_epoch=self.check_val_every_n_epoch)
        if self.threads is not None and self.threads > THREADS:
            raise UsageError(f"trainer.threads={self.threads} must be at most {THREADS}")
        at_least(0, workers=self.workers, checkpoint_minutes=self.checkpoint_minutes)
        if self.devices is not None and self.devices < 1 and self.devices != -1:
            raise UsageError(f"trainer.devices={self.devices} must be at least 1, or -1 for all")
        if self.devices == -1 and self.accelerator == "cpu":
            raise UsageError(
                "trainer.devices=-1 is one process for each GPU: on the CPU, give their number"
            )
        if self.gradient_clip_val is not None and not self.gradient_clip_val > 0:
            raise UsageError(
                f"trainer.gradient_clip_val={self.gradient_clip_val} must be above 0: leave it out to clip "
                "nothing"
            )
        _require_strategy(self.strategy)
        if self.shards and self.precision == "64-true":
            raise UsageError(
                "trainer.precision=64-true: weights that are shared out have at most 32 bits: choose "
                "trainer=ddp"
            )
        if self.strategy == "deepspeed" and self.precision not in zero.PRECISIONS:
            raise UsageError(
                f"trainer.precision={self.precision}: DeepSpeed's steps are made in "
                f"{' or '.join(zero.PRECISIONS)}: choose one of these, or trainer=ddp"
            )
        if self.launcher == "genlab" and (self.num_nodes or 1) > 1:
            raise UsageError(
                f"trainer.num_nodes={self.num_nodes}: genlab starts processes on one machine; start them "
                "on several with torchrun and trainer=torchrun, or with srun and trainer=slurm"
            )

    @property
    def processes(self) -> int:
        """How many processes take part."""
        return self._layout.per_node * self._layout.nodes

    @property
    def _layout(self) -> launch.Layout:
        """Where they are, as given; what is not given, as their launcher says."""
        devices = max(1, self._gpus) if self.devices == -1 else self.devices
        started = launch.layout(self.launcher)
        return launch.Layout(devices or started.per_node, self.num_nodes or started.nodes)

    @property
    def _gpus(self) -> int:
        """Of this machine, where they may be used."""
        return 0 if self.accelerator == "cpu" else torch.cuda.device_count()

    @property
    def _strategy(self) -> Strategy | str:
        """One whose processes wait long enough for each other."""
        if self.shards:
            return sharding.Sharded(self.processes, PATIENCE)
        if self.strategy == "deepspeed":
            return zero.Zero(timeout=PATIENCE)
        name = "ddp" if self.strategy == "auto" and self.processes > 1 else self.strategy
        if name == "auto":
            return name
        known = StrategyRegistry[name]
        made: Strategy = known["strategy"](**known["init_params"], timeout=PATIENCE)
        return made

    @property
    def lacking(self) -> str:
        """What this machine lacks for them, and what to type; empty where nothing is."""
        other = "type trainer=cpu, or trainer=ddp_cpu for two processes"
        if self.accelerator in ("gpu", "cuda") and not self._gpus:
            return f"trainer.accelerator={self.accelerator}: torch finds no GPU here: {other}"
        if self.devices == -1 and not self._gpus:
            return f"trainer.devices=-1: torch finds no GPU here: {other}"
        if 0 < self._gpus < self._layout.per_node:
            return f"trainer.devices={self._layout.per_node}: this machine has {self._gpus} GPUs"
        if self.precision == "16-mixed" and not self._gpus:
            return "trainer.precision=16-mixed needs a GPU: bf16-mixed works without"
        if self.strategy == "deepspeed" and not zero.is_installed():
            return (
                "trainer=deepspeed needs DeepSpeed: pip install 'genlab[deepspeed]', or trainer=ddp"
            )
        return ""

    def possible(self) -> TrainerSettings:
        """These; or, where this machine lacks something for them, one process on what there is."""
        if not self.lacking:
            return self
        precision = "32-true" if self.precision == "16-mixed" else self.precision
        return replace(self, accelerator="auto", strategy="auto", devices=None, precision=precision)

    @property
    def shards(self) -> bool:
        """Whether each process keeps only a part of the weights while it trains."""
        return self.strategy == "fsdp"

    @property
    def shares_out(self) -> bool:
        """Whether it keeps only a part of what belongs to the weights, or of the weights themselves."""
        return self.shards or self.strategy == "deepspeed"

    def require_stages(self, stages: Sequence[Stage]) -> None:
        """Raise UsageError for a stage that cannot be trained so."""
        if self.shards:
            require_averageable(stages, self.precision)
        if self.strategy == "deepspeed":
            zero.require_elementwise(stages)

    @property
    def autocast_on(self) -> str | None:
        """The type of device on which layers compute in half precision; None where they do not."""
        return self.device if self.precision.endswith("-mixed") else None

    @property
    def device(self) -> str:
        """The type of device that computes, as torch and Lightning name it: "cpu" or "cuda"."""
        if self.accelerator == "auto":
            return "cuda" if self._gpus else "cpu"
        return "cpu" if self.accelerator == "cpu" else "cuda"

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
        return replace(self, strategy="ddp") if self.shares_out else self

    def join(self) -> None:
        """Let processes that torchrun or SLURM started find each other; genlab starts its own when the
        first trainer is made.

        Raises UsageError where they were not started, or otherwise than these settings say, or this machine
        lacks something.
        """
        self._take_place()
        if torch.distributed.is_initialized():
            self._require_as_many(torch.distributed.get_world_size())
        if self.launcher != "genlab":
            self.connect()

    def connect(self) -> None:
        """Let the processes find each other, and start them where that is genlab's to do.

        Lightning's strategy for shards would have a model for that; forks are made with each fit.
        """
        if self.processes == 1 or self.forks or torch.distributed.is_initialized():
            return
        strategy = self.unsharded().trainer([]).strategy
        launch.meet(strategy.setup_environment, self.processes)
        if strategy.accelerator is not None:  # a thread's current GPU is its own
            strategy.accelerator.setup_device(strategy.root_device)

    @property
    def forks(self) -> bool:
        """Whether processes live as long as one fit or one evaluation, and all they learn with them."""
        return self.strategy == "ddp_fork"

    def _require_as_many(self, before: int) -> None:
        if before != self.processes:
            raise UsageError(
                f"this script has begun a run of {before} processes, which all go through it to its end: "
                f"one of {self.processes} needs a script of its own"
            )

    def _take_place(self) -> None:
        if self.lacking:
            raise UsageError(self.lacking)
        launch.take_place(self.launcher, self._layout)

    def choose_threads(self) -> int:
        """Right on an idle machine and, as its waiting threads soon sleep, on a busy one.

        OMP_NUM_THREADS may be a list, the first number being that of the outermost level; OpenMP passes
        over what is no number, and so does this.
        """
        if self.threads is not None:
            return self.threads
        chosen = re.match(r"\s*([1-9]\d*)\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
        return int(chosen[1]) if chosen else fair_threads(self._layout.per_node)

    def trainer(self, callbacks: Sequence[Callback], **options: Any) -> Trainer:
        """A fresh Trainer that says nothing of its own: progress and records are genlab's."""
        for name in ("pytorch_lightning", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._take_place()
        rank_zero_only.rank = rank()
        torch.set_num_threads(self.choose_threads())
        options.setdefault("logger", False)
        options["plugins"] = [*options.get("plugins", []), environment(self.launcher)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*GPU available but not used.*")  # chosen on purpose
            made = Trainer(
                accelerator=self.device,
                devices=self._layout.per_node,
                num_nodes=self._layout.nodes,
                strategy=self._strategy,
                precision=self.precision,
                callbacks=[Threads(self.choose_threads()), *callbacks],
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=False,
                profiler=NoProfiler(),
                num_sanity_val_steps=0,
                log_every_n_steps=1,  # which only decides whether Lightning warns of few steps
                use_distributed_sampler=False,
                inference_mode=False,
                **options,
            )
        leave_signals_alone(made)
        if self.launcher == "genlab" and not self.forks:
            launch.start(self.processes)
        return made


def _require_strategy(name: str) -> None:
    """Raise UsageError for one that genlab does not have."""
    if name not in STRATEGIES:
        raise UsageError(f"trainer.strategy={name}: expected one of {', '.join(STRATEGIES)}")
