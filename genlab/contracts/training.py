"""What is trained, in one or more stages."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningModule
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from genlab.contracts.data import Batch, DataSpec, Support
from genlab.errors import UnsupportedData


@dataclass(frozen=True)
class Stage:
    """One ``trainer.fit``: what is trained, by which loss, for how long.

    module: exactly what is trained; everything else is frozen and in eval mode.
    loss: scalar of a batch (nats per datum where it is a likelihood).
    optimizer: called with the parameters; the run's ``optimizer``, where given, takes its place.
    decay: how the learning rate falls over the stage: "constant", "linear" or "cosine".
    ema: decay of the exponential moving average of the weights, in [0, 1); 0 for none.
    patience: validations without a new best monitored value after which the stage ends; None: no end.
    begin: data-dependent initialisation from x: (N, *shape), run once before the fit, never on resume.
    """

    name: str
    module: nn.Module
    loss: Callable[[Batch], Tensor]
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None
    max_epochs: int = 100
    max_steps: int = -1
    decay: str = "constant"
    ema: float = 0.0
    patience: int | None = None
    begin: Callable[[Tensor], None] | None = None


DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: max(0.0, 1.0 - progress),
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))),
}


def adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer of a stage that names none: Adam, learning rate 1e-3, in one fused kernel."""
    return torch.optim.Adam(parameters, lr=1e-3, fused=True)


class Trainable(LightningModule, ABC):
    """Everything that is trained: generative models, classifiers, auto-encoders."""

    def __init__(self) -> None:
        super().__init__()
        self._stage: Stage | None = None
        self._validation: dict[str, tuple[Tensor, int]] = {}

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Scalar loss of the default stage."""

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Per-datum values (B,), lower is better; the first is monitored, logged as ``val/<key>``.

        Empty where nothing honest exists (contrastive divergence, MMD): the stage then keeps its last
        weights, not its best.
        """
        return {}

    def stages(self) -> Sequence[Stage]:
        """The fits that train this model, in order, with unique names."""
        return (Stage("fit", self, self.loss),)

    def rank_state(self) -> dict[str, Tensor]:
        """State that each process owns (persistent chains): checkpointed from every rank."""
        return {}

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        """Take back what ``rank_state`` gave."""

    @property
    def stage(self) -> Stage:
        """The stage being trained; the first one unless ``enter`` said otherwise."""
        return self._stage or self.stages()[0]

    def enter(self, stage: Stage) -> None:
        """Freeze everything but ``stage.module`` and train that from now on."""
        self._stage = stage
        self.requires_grad_(False).eval()
        stage.module.requires_grad_(True).train()

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        return self.stage.loss(batch)

    def validation_step(self, batch: Batch, _index: int) -> None:
        for key, values in self.validate(batch).items():
            total, count = self._validation.get(key, (torch.zeros((), dtype=torch.float64), 0))
            self._validation[key] = total + values.double().sum().cpu(), count + len(values)

    def on_validation_epoch_end(self) -> None:
        for key, (total, count) in self._validation.items():
            pair = torch.tensor(
                [float(total), float(count)], dtype=torch.float64, device=self.device
            )
            total, count = self.trainer.strategy.reduce(pair, reduce_op="sum").tolist()
            self.log(f"val/{key}", total / count)
        self._validation.clear()

    def configure_optimizers(self) -> Any:
        stage = self.stage
        parameters = [p for p in stage.module.parameters() if p.requires_grad]
        optimizer = (stage.optimizer or adam)(parameters)
        total, factor = float(self.trainer.estimated_stepping_batches), DECAYS[stage.decay]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step / total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class GenerativeModel(Trainable):
    """A model of data: its samples, and whatever capabilities its bases claim.

    The data describe themselves: every model is built as ``Model(spec, …)`` and no shape is written in
    a configuration. ``label=None`` always means the marginal or unconditional distribution.
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

    @abstractmethod
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """(n, *spec.shape) inside spec.support, by the sampler that the model's likelihood describes."""
