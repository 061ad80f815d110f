"""The curves of a run: ``metrics.csv`` with columns stage, epoch, step, name, value.

The loss is kept on the device and read every few steps, as ``self.log`` would cost a third of a
millisecond each. A loss that is not finite ends the run at once, and says at which step.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor

from genlab.contracts import GenlabError, Stage, UsageError
from genlab.progress import progress
from genlab.runs import RunDirectory, write_text
from genlab.trust import read_text

HEADER = ["stage", "epoch", "step", "name", "value"]
STEP = re.compile(r"[0-9]{1,18}")
EVERY = 50  # steps between two points of a training curve


class NonFinite(GenlabError):
    """The loss or the weights are NaN or infinite. what: that alone, without what to try."""

    def __init__(self, what: str, then: str) -> None:
        super().__init__(f"{what}: {then}")
        self.what = what


class Curves(Callback):
    """Writes the curves of one stage, shows progress and stops at a loss that is not finite."""

    def __init__(self, run: RunDirectory, stage: Stage, title: str) -> None:
        self.run, self.stage, self.title = run, stage, title
        self._losses: list[Tensor] = []
        self._rows: list[list[Any]] = []
        # Of a stage with steps, on_train_start says which rows it goes on from.
        self._before = rows_before(run.curves, stage.name, -1)
        self._note = ""
        self._logged = 0  # rows of this session that loggers know

    def state_dict(self) -> dict[str, Any]:
        """The losses since the last point: a stage that was asked to stop between two goes on with them."""
        return {"losses": [loss.float().cpu() for loss in self._losses]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._losses = state["losses"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._before = rows_before(self.run.curves, self.stage.name, trainer.global_step)
        self._rows.clear()
        self._logged = 0
        total = int(module.stage_steps())
        self._bar = progress(self.title, total, trainer.global_step)
        self._advance = self._bar.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self._losses.append(outputs["loss"].detach())
        if (index + 1) % EVERY == 0 or trainer.is_last_batch:
            self._read(trainer)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith("val/"):
                self.add(trainer, name, float(value))
                self._note = f"{name} {float(value):.4g}"

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        self.add(trainer, "lr", trainer.optimizers[0].param_groups[0]["lr"])

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """What a checkpoint has seen, the file holds."""
        if trainer.is_global_zero:
            write_text(self.run.curves, _csv([HEADER, *self._before, *self._rows]))
            self._log(trainer.loggers)

    def _log(self, loggers: Sequence[Logger]) -> None:
        """Tell loggers the same points, as late as the file: a resumed run goes on where these end."""
        for stage, _, step, name, value in self._rows[self._logged :] if loggers else ():
            for logger in loggers:
                logger.log_metrics({f"{stage}/{name}": float(value or "nan")}, step)
        for logger in loggers:
            logger.save()
        self._logged = len(self._rows)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._close(trainer)

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self._close(trainer)

    def _close(self, trainer: Trainer) -> None:
        if hasattr(self, "_bar"):
            self._bar.__exit__(None, None, None)
            del self._bar

    def _read(self, trainer: Trainer) -> None:
        """Take the losses off the device, all at once."""
        losses = torch.stack([loss.to(trainer.strategy.root_device) for loss in self._losses])
        losses = losses.float().cpu()
        self._losses.clear()
        step = trainer.global_step
        self._require_finite(trainer, losses)
        loss = losses.mean().item()
        self.add(trainer, "loss", loss)
        self._advance(step, f"epoch {trainer.current_epoch + 1} loss {loss:.4g} {self._note}")

    def _require_finite(self, trainer: Trainer, losses: Tensor) -> None:
        """On every process, if one of them has such a loss: none may wait for another that has stopped."""
        bad = (~losses.isfinite()).nonzero()
        if not trainer.strategy.reduce_boolean_decision(len(bad) > 0, all=False):
            return
        first = int(bad[0]) if len(bad) else len(losses)
        value = float(losses[first]) if len(bad) else 0.0
        first, value = min(of_every_rank(trainer, (first, value)))
        at = trainer.global_step - len(losses) + first + 1
        raise NonFinite(
            f"the loss{of(self.stage)} is {value} at step {at} of stage {self.stage.name!r}",
            f"{kept(self.run, self.stage)}; try a smaller learning rate or trainer.gradient_clip_val=1",
        )

    def add(self, trainer: Trainer, name: str, value: float) -> None:
        """A point at the current step; not a number where the value is not finite."""
        shown = repr(value) if math.isfinite(value) else ""
        self._rows.append(
            [self.stage.name, trainer.current_epoch, trainer.global_step, name, shown]
        )


def of_every_rank(trainer: Trainer, own: Any) -> list[Any]:
    """What each process has, in the order of ranks; every process must take part."""
    found = [own]
    if trainer.world_size > 1:
        found = [None] * trainer.world_size
        torch.distributed.all_gather_object(found, own)
    return found


def of(stage: Stage) -> str:
    """What the stage's loss is, in brackets, where it says so."""
    return f" ({stage.about})" if stage.about else ""


def kept(run: RunDirectory, stage: Stage) -> str:
    """What a stage that went wrong leaves."""
    saved = any(run.checkpoint(stage.name, w).is_file() for w in ("last", "previous"))
    return "the last good checkpoint is kept" if saved else "nothing was saved yet"


def rows_before(path: Path, stage: str, step: int) -> list[Sequence[str]]:
    """The rows that a resumed stage keeps: all before the first of this stage beyond the given step.

    Raises UsageError for a row that is none of these.
    """
    if not path.is_file():
        return []
    return list(takewhile(lambda row: row[0] != stage or int(row[2]) <= step, _rows(path)))


def _rows(path: Path) -> list[list[str]]:
    """All but the header."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path), newline="")))[1:]
    except csv.Error as error:
        raise UsageError(f"{path} is no table ({error}): remove it to go on without it") from None
    for number, row in enumerate(rows, 2):
        if len(row) != len(HEADER) or not STEP.fullmatch(row[2]):
            raise UsageError(
                f"{path}, row {number}: expected {', '.join(HEADER)}: remove that row to go on"
            )
    return rows


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
