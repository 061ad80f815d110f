"""What is trained, in one or more stages."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningModule
from torch import Generator, Tensor, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer

from genlab.contracts.data import Batch, DataSpec, Support
from genlab.errors import UnsupportedData, UsageError


@dataclass(frozen=True)
class Stage:
    """One ``trainer.fit``: what is trained, by which loss, for how long.

    module: exactly what is trained; everything else is frozen and in eval mode.
    loss: scalar of a batch (nats per datum where it is a likelihood).
    validate: per-datum values (B,) by name, lower is better, as ``Trainable.validate``; None: that one.
    optimizer: called with the parameters; None takes the run's ``optimizer``.
    max_epochs, max_steps: the stage ends with the first that is reached; 100 epochs if neither is given.
    lr_schedule: how the learning rate changes over the stage: "constant", "linear" or "cosine", or the
        factor on the optimizer's rate from a step on, 1 before the first: ``{10000: 0.1}``.
    momentum_schedule: the momentum from a step on, the optimizer's own before the first: ``{3000: 0.9}``.
        For SGD alone.
    ema: decay of the exponential moving average of the weights, in [0, 1); 0 for none.
    patience: validations without a new best monitored value after which the stage ends; None: no end.
    begin: data-dependent initialisation from (at most 10,000) training data, run once before the fit,
        never on resume.
    solve: in place of gradient steps, for what has a closed form: called once, without gradients, with
        batches that together hold every training datum once and can be gone through again. Such a stage
        has no optimizer, epochs or steps; its loss is what the solution minimises. Every process
        solves for itself, and rank 0's solution is kept.
    about: what the loss is, for messages: "free energy of layer 2 (500 → 250 units)".

    Steps are those of the optimizer: the first is step 0.

    Give bound methods or partials of them, not lambdas: averaged copies of a model are deep copies, and a
    lambda would go on speaking of the original.
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch], Tensor]
    validate: Callable[[Batch], dict[str, Tensor]] | None = None
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None
    max_epochs: int | None = None
    max_steps: int | None = None
    lr_schedule: str | Mapping[int, float] = "constant"
    momentum_schedule: Mapping[int, float] | None = None
    ema: float = 0.0
    patience: int | None = None
    begin: Callable[[Batch], None] | None = None
    solve: Callable[[Iterable[Batch]], None] | None = None
    about: str = ""


LR_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: max(0.0, 1.0 - progress),
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))),
}


# Methods of a model that need its weights, beside forward.
GATHERING = ("training_step", "validation_step", "sample", "log_likelihood", "log_weights")


def reached(schedule: Mapping[int, float], step: int, before: float) -> float:
    """The value of a schedule by steps at a step; ``before`` where its first is still to come.

    >>> [reached({10: 0.5, 20: 0.1}, step, 1.0) for step in (9, 10, 25)]
    [1.0, 0.5, 0.1]
    """
    behind = [start for start in schedule if start <= step]
    return schedule[max(behind)] if behind else before


def adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer where neither stage nor run names one: Adam, rate 1e-3, in one fused kernel."""
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


class Trainable(LightningModule, ABC):
    """Everything that is trained, in stages: models, and parts of them.

    ``configure_optimizers`` and optimizers must not read ``trainer.estimated_stepping_batches`` before
    the first step: it makes Lightning set up the loader before its position is restored, and a resumed
    epoch would begin anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stage: Stage | None = None
        self._frozen: frozenset[str] | None = None
        self._validation: dict[str, tuple[Tensor, int]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes 47 times a step which hook is running; torch would look each time whether that
        is a parameter or a module, at a tenth of the cost of a small step."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Scalar loss of the default stage."""

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Per-datum values (B,), lower is better; the first is monitored, logged as ``val/<key>``.

        Empty where nothing honest exists (contrastive divergence): the stage then keeps its last weights,
        not its best. Noise comes from torch's default generator, which is keyed here as in ``loss``.
        """
        return {}

    def stages(self) -> Sequence[Stage]:
        """The fits that train this model, in order, with unique names."""
        return (Stage("fit", self, self.loss),)

    def rank_state(self) -> dict[str, Tensor]:
        """State that each process owns (persistent chains): checkpointed from every rank, and kept from
        one stage to the next.

        ``begin`` runs on the same random stream everywhere: make such state lazily, in the loss.
        """
        return {}

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        """Take back what ``rank_state`` gave."""

    @property
    def stage(self) -> Stage:
        """The stage being trained; the first one unless ``enter`` said otherwise."""
        return self._stage or self.stages()[0]

    def enter(self, stage: Stage) -> None:
        """Freeze everything but ``stage.module`` and train that from now on.

        A parameter that its author made with ``requires_grad=False`` stays frozen.
        """
        if self._frozen is None:
            self._frozen = frozenset(n for n, p in self.named_parameters() if not p.requires_grad)
        self._stage = stage
        self.requires_grad_(False).eval()
        stage.module.requires_grad_(True).train()
        for name, parameter in self.named_parameters():
            if name in self._frozen:
                parameter.requires_grad_(False)

    def shards(self) -> Sequence[nn.Module]:
        """Parts whose weights are gathered only while they work, where a strategy shards a model: large
        ones, of which nothing but the forward pass is used. All else is gathered with the model."""
        return ()

    def configure_model(self) -> None:
        """Share the weights out among the processes, where the strategy does so."""
        if self.device_mesh is None:
            return
        mesh = self.device_mesh["data_parallel"]
        for part in (*self.shards(), self):
            fully_shard(part, mesh=mesh)
        for name in GATHERING:
            if hasattr(self, name):
                register_fsdp_forward_method(self, name)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        return self.stage.loss(batch)

    def on_validation_epoch_start(self) -> None:
        self._validation.clear()

    def validation_step(self, batch: Batch, _index: int) -> None:
        for key, values in (self.stage.validate or self.validate)(batch).items():
            total, count = self._validation.get(key, (torch.zeros((), dtype=torch.float64), 0))
            self._validation[key] = total + values.double().sum().cpu(), count + len(values)

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all data of all ranks, whatever each rank has seen."""
        own = {key: (float(total), count) for key, (total, count) in self._validation.items()}
        parts: list[Any] = [own]
        if self.trainer.world_size > 1:
            parts = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, own)
        for key in dict.fromkeys(key for part in parts for key in part):
            seen = [part[key] for part in parts if key in part]
            mean = sum(total for total, _ in seen) / sum(count for _, count in seen)
            # equal on every rank already; Curves tells loggers
            self.log(f"val/{key}", mean, sync_dist=True, logger=False)

    def configure_optimizers(self) -> Any:
        stage = self.stage
        parameters = [p for p in stage.module.parameters() if p.requires_grad]
        optimizer = (stage.optimizer or adam)(parameters)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """The factor on the learning rate at an optimizer step of the current stage."""
        schedule = self.stage.lr_schedule
        if not isinstance(schedule, str):
            return reached(schedule, step, 1.0)
        factor = LR_SCHEDULES[schedule]
        return factor(step / self.stage_steps()) if step else factor(0.0)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Set the momentum, as a function of the step alone: nothing of it needs to be saved."""
        schedule = self.stage.momentum_schedule
        if schedule is None:
            return
        for group in optimizer.param_groups:
            group["momentum"] = reached(schedule, self.trainer.global_step, group["momentum"])

    def stage_steps(self) -> float:
        """How many optimizer steps the current stage takes; only once training has begun."""
        total = float(self.trainer.estimated_stepping_batches)
        return min(total, self.stage.max_steps or math.inf)


class Model(Trainable):
    """What a configuration names as ``model=…``: built as ``Model(spec, …)``, since the data describe
    themselves and no shape is written in a configuration.

    What it can do is said by its other bases: ``GenerativeModel`` draws samples, ``Classifies`` tells
    labels, ``HasEncoder`` has codes. supports: the data that it takes; others are refused when it is built.
    """

    supports: ClassVar[frozenset[Support]] = frozenset(Support)

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        if spec.support not in self.supports:
            takes = " or ".join(sorted(s.name for s in self.supports))
            raise UnsupportedData(
                f"{type(self).__name__} takes {takes} data; {spec.name} is {spec.support.name}"
            )
        self.spec = spec


class GenerativeModel(Model):
    """A model of data: its samples, and whatever capabilities its bases claim.

    ``label=None`` always means the marginal or unconditional distribution.
    """

    @abstractmethod
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """(n, *spec.shape) inside spec.support, by the sampler that the model's likelihood describes.

        label: (n,) int64. Raises UsageError for one where the model is not conditioned on labels.
        """

    def refuse_label(self, label: Tensor | None) -> None:
        """Raise UsageError for a label: for models that are not conditioned on any."""
        if label is not None:
            raise UsageError(f"{type(self).__name__} is not conditioned on labels: leave label out")
