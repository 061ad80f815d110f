"""When a stage keeps its weights, and when it ends."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from torch import Tensor

from genlab.contracts import Stage
from genlab.runs import RunDirectory
from genlab.training.checkpoint_files import KEEPER, averaged, load_checkpoint
from genlab.training.curves import NonFinite, kept, of, of_every_rank
from genlab.training.restoring import load_whole


@dataclass(frozen=True)
class Validation:
    """The value that a stage was judged by, at its lowest; None where it never was finite."""

    name: str
    value: float | None

    @classmethod
    def of(cls, checkpoint: dict[str, Any]) -> Validation | None:
        """What a whole checkpoint has seen; None where nothing was validated."""
        state = checkpoint["callbacks"][KEEPER]
        return None if state["monitored"] is None else cls(state["monitored"], state["best"])


class EndOfStage(Callback):
    """Ends a stage after its steps.

    Lightning's own ``max_steps`` miscounts epochs when it resumes at the end of one.
    """

    def __init__(self, stage: Stage) -> None:
        self.steps = stage.max_steps

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._end_if_reached(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self._end_if_reached(trainer)

    def _end_if_reached(self, trainer: Trainer) -> None:
        if self.steps is not None and trainer.global_step >= self.steps:
            trainer.should_stop = True


class Checkpoints(Callback):
    """Keeps the last and the best weights of one stage, and ends it when its patience is over.

    The best are those with the lowest of the first value that the model's ``validate`` gives; a model
    that gives none keeps only its last. Of a solved stage the last is its solution.

    before: what the stage before ended with. A stage begins with its weights and with the state that each
    process owned then, whether this session trained it or an earlier one.
    """

    def __init__(
        self, run: RunDirectory, stage: Stage, minutes: float, before: Path | None = None
    ) -> None:
        self.run, self.stage, self.before = run, stage, before
        self.seconds = 60 * minutes
        self.monitored: str | None = None
        self.best: float | None = None
        self.waited = 0  # validations since the best
        self._states: list[dict[str, Tensor]] | None = None  # of every rank

    @property
    def state_key(self) -> str:
        return KEEPER

    def state_dict(self) -> dict[str, Any]:
        return {"monitored": self.monitored, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.monitored = state["monitored"]
        self.best, self.waited = state["best"], state["waited"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._saved = time.monotonic()
        self._give_back(trainer, module)  # only now, as DDP has done its first broadcast
        self._end_if_patience_is_over(trainer)

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["genlab"] = {"stage": self.stage.name, "world_size": trainer.world_size}
        own = {name: value.detach().cpu().clone() for name, value in module.rank_state().items()}
        checkpoint["rank_state"] = of_every_rank(trainer, own)
        if self._keeps_averages():
            checkpoint["averaged_before"] = True

    def _keeps_averages(self) -> bool:
        """Whether this stage trains nothing, and the one before left averaged weights."""
        if self.stage.solve is None or self.before is None or list(self.stage.module.parameters()):
            return False
        return averaged(load_checkpoint(self.before))

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self._states = checkpoint["rank_state"]

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        if self.stage.solve is not None:
            self._give_back(trainer, module)

    def _give_back(self, trainer: Trainer, module: Any) -> None:
        """The state that this process owned at the last checkpoint, of this stage or of the one before."""
        if self._states is None and self.before is not None:
            self._states = load_whole(self.before)["rank_state"]
        if self._states is not None:
            own = self._states[trainer.global_rank]
            module.load_rank_state({name: value.to(module.device) for name, value in own.items()})
        self._states = None

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        self.monitored = next((k for k in trainer.callback_metrics if k.startswith("val/")), None)
        if self.stage.solve is not None:
            self.save_last(trainer)
        if self.monitored is None:
            return
        score = float(trainer.callback_metrics[self.monitored])
        if math.isfinite(score) and (self.best is None or score < self.best):
            self.best, self.waited = score, 0
            self._save(trainer, "best")
        else:
            self.waited += 1
            self._end_if_patience_is_over(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        self.save_last(trainer)

    def save_last(self, trainer: Trainer) -> None:
        """Keep what the stage can go on from; not in the middle of accumulating a gradient."""
        self._save(trainer, "last")

    def is_late(self) -> bool:
        """Whether so much has been trained since the last one that a crash must not lose it."""
        return bool(self.seconds) and time.monotonic() - self._saved > self.seconds

    def _end_if_patience_is_over(self, trainer: Trainer) -> None:
        if self.stage.patience is not None and self.waited >= self.stage.patience:
            trainer.should_stop = True

    def _save(self, trainer: Trainer, which: str) -> None:
        if not all(bool(p.isfinite().all()) for p in self.stage.module.parameters()):
            raise NonFinite(
                f"the weights are not finite after step {trainer.global_step} of stage "
                f"{self.stage.name!r}{of(self.stage)}",
                f"{kept(self.run, self.stage)}; try a smaller learning rate",
            )
        trainer.save_checkpoint(self.run.checkpoint(self.stage.name, which))
        self._saved = time.monotonic()
