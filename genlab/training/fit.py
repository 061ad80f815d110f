"""Training a model through its stages: each one a fit of its own, each resumable in the middle.

A stage that has a closed form is solved instead, in the place of one validation.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from genlab import interrupts, randomness
from genlab.contracts import Batch, DataModule, Stage, Trainable, UsageError
from genlab.rank import rank
from genlab.runs import RunDirectory, write_json
from genlab.sketch import require_one
from genlab.sums import is_intact
from genlab.training.averaging import averaging, is_averaging
from genlab.training.checkpoint_files import (
    SafeCheckpointIO,
    drop_previous,
    is_lost,
    load_checkpoint,
    load_weights,
    to_go_on_from,
)
from genlab.training.checkpoints import Checkpoints, EndOfStage, Validation
from genlab.training.curves import Curves
from genlab.training.heartbeat import Heartbeat
from genlab.training.randomness import KeyedRandomness
from genlab.training.restoring import (
    load_whole,
    processes_of,
    require_averages,
    require_epoch,
    require_steps,
)
from genlab.training.settings import TrainerSettings
from genlab.training.sharding import GathersForValidation, KeepsWhatLossesMove, copied
from genlab.training.solution import Solution
from genlab.training.stopping import BetweenSteps
from genlab.training.throughput import Throughput

EPOCHS = 100  # of a stage that names neither epochs nor steps
BEGIN_ROWS = 10_000  # a data-dependent initialisation sees at most this many training data


def fit(
    model: Trainable,
    data: DataModule,
    stages: Sequence[Stage],
    run: RunDirectory,
    settings: TrainerSettings,
    *,
    seed: int,
    callbacks: Sequence[Callback] = (),
    logger: Any = False,
    record: RunDirectory | None = None,
) -> Validation | None:
    """Run every stage that the run directory does not hold as finished; leave the final weights in model.

    A stage that was interrupted goes on at its last checkpoint, bit-identically on the CPU; one whose final
    weights were damaged since begins anew.
    record: whose run record shows progress; run itself by default.
    Raises UsageError where processes read different data.
    Returns what the last stage was judged by, or None where it validates nothing.
    """
    settings.require_stages(stages)
    settings.connect()  # who waits here for another stops at once when asked to
    require_one(data)
    alive = record or run
    data.shuffle_seed, data.num_workers = seed, settings.workers
    done = _finished(run, stages)
    before, checkpoint = _final_weights(model, run, stages[done - 1]) if done else (None, {})
    for number, stage in enumerate(stages[done:], done + 1):
        title = f"stage {number}/{len(stages)} {stage.name}"
        extra = [*callbacks, Heartbeat(alive, stage, number, len(stages))]
        work = _fit_stage if stage.solve is None else _solve_stage
        checkpoints = Checkpoints(run, stage, settings.checkpoint_minutes, before)
        work(model, data, stage, run, settings, seed, title, extra, logger, checkpoints)
        before, checkpoint = _final_weights(model, run, stage)
    model.eval()
    return Validation.of(checkpoint)


def _finished(run: RunDirectory, stages: Sequence[Stage]) -> int:
    """How many stages need no work: up to the last one that has finished and whose weights are whole, as it
    has those of all before. Where a later one has finished too, all after it is forgotten.

    Every process finds the same, before and after rank 0 has forgotten it.
    """
    marked = list(takewhile(lambda stage: run.finished(stage.name).is_file(), stages))
    latest_first = range(len(marked), 0, -1)
    done = next((n for n in latest_first if _is_whole(run, marked[n - 1].name)), 0)
    if rank() == 0 and done < len(marked):
        run.finished(marked[done].name).unlink(missing_ok=True)
        for stage in stages[done + 1 :]:
            shutil.rmtree(run.finished(stage.name).parent, ignore_errors=True)
    return done


def _is_whole(run: RunDirectory, stage: str) -> bool:
    """Whether a stage's final weights are there as they were written."""
    path, best = final(run, stage), run.checkpoint(stage, "best")
    return is_intact(path) and (path == best or not is_lost(best, load_checkpoint(path)))


def _final_weights(
    model: Trainable, run: RunDirectory, stage: Stage
) -> tuple[Path, dict[str, Any]]:
    """Put what a stage ended with into the model; the file, and its content."""
    path = final(run, stage.name)
    checkpoint = load_whole(path)
    load_weights(model, checkpoint, path)
    return path, checkpoint


def final(run: RunDirectory, stage: str) -> Path:
    """Where a stage's final weights are: the best it has, else the last."""
    best = run.checkpoint(stage, "best")
    return best if best.is_file() else run.checkpoint(stage, "last")


def _fit_stage(
    model: Trainable,
    data: DataModule,
    stage: Stage,
    run: RunDirectory,
    settings: TrainerSettings,
    seed: int,
    title: str,
    callbacks: Sequence[Callback],
    logger: Any,
    checkpoints: Checkpoints,
) -> None:
    start = to_go_on_from(run, stage.name, _say)
    if settings.shares_out:
        model, stage = copied(model, stage)
    if settings.compile:
        stage = replace(stage, loss=torch.compile(stage.loss))
    model.enter(stage)
    trainer = settings.trainer(
        [
            KeyedRandomness(seed, stage.name),
            *averaging(stage, shards=settings.shards),
            *callbacks,
            curves := Curves(run, stage, title),
            speed := Throughput(
                curves, stage.name, not (settings.compile or settings.shards), _say
            ),
            EndOfStage(stage),
            checkpoints,
            BetweenSteps(checkpoints),
            *([GathersForValidation(), KeepsWhatLossesMove()] if settings.shards else []),
            speed.end_of_step,
        ],
        max_epochs=_epochs(stage),
        logger=logger,
        plugins=[SafeCheckpointIO()],
        gradient_clip_val=settings.gradient_clip_val,
        accumulate_grad_batches=settings.accumulate_grad_batches,
        check_val_every_n_epoch=settings.check_val_every_n_epoch,
    )
    _require_finished(run, trainer.world_size)
    if start is not None:
        _require_same(model, start, stage, trainer)
    elif stage.begin is not None:
        with randomness.scope("begin", seed, stage.name):
            stage.begin(first_rows(data))
    with warnings.catch_warnings():
        # The frozen rest is; and where weights are shared out, they are averaged in another way.
        warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
        warnings.filterwarnings("ignore", ".*WeightAveraging doesn't support sharding.*")
        with interrupts.patiently():
            trainer.fit(model, datamodule=data, ckpt_path=start)
    _mark_finished(run, stage, trainer)


def _solve_stage(
    model: Trainable,
    data: DataModule,
    stage: Stage,
    run: RunDirectory,
    settings: TrainerSettings,
    seed: int,
    title: str,
    callbacks: Sequence[Callback],
    logger: Any,
    checkpoints: Checkpoints,
) -> None:
    model.enter(stage)
    trainer = settings.unsharded().trainer(
        [
            KeyedRandomness(seed, stage.name),
            *callbacks,
            Solution(stage, data, seed),
            Curves(run, stage, title),
            checkpoints,
        ],
        logger=logger,
        plugins=[SafeCheckpointIO()],
    )
    _require_finished(run, trainer.world_size)
    trainer.validate(model, datamodule=data, verbose=False)
    _mark_finished(run, stage, trainer)


def _epochs(stage: Stage) -> int:
    """For the Trainer: -1 where steps alone end the stage."""
    if stage.max_epochs is not None:
        return stage.max_epochs
    return EPOCHS if stage.max_steps is None else -1


def first_rows(data: DataModule) -> Batch:
    """At most BEGIN_ROWS training data, spread evenly over the set."""
    data.prepare_data()
    data.setup("fit")
    dataset = data.dataset("train")
    step = -(-len(dataset) // BEGIN_ROWS)
    return dataset[torch.arange(0, len(dataset), step)]


def _require_same(model: Trainable, path: Path, stage: Stage, trainer: Trainer) -> None:
    checkpoint = load_whole(path)
    load_weights(model, checkpoint, path)
    theirs = checkpoint["genlab"]
    if theirs["stage"] != stage.name:
        raise UsageError(f"{path} is of stage {theirs['stage']!r}, not of {stage.name!r}")
    _require_processes(path, theirs["world_size"], trainer.world_size)
    require_epoch(checkpoint, path, _epochs(stage))
    require_steps(stage, checkpoint, path)
    require_averages(checkpoint, path, averaging=is_averaging(trainer))


def _require_finished(run: RunDirectory, world_size: int) -> None:
    for mark in sorted(run.path.glob("checkpoints/*/finished.json")):
        _require_processes(mark.parent, processes_of(mark), world_size)


def _require_processes(path: Path, theirs: int, ours: int) -> None:
    """Each process has its own share of the data and its own random numbers."""
    if theirs != ours:
        raise UsageError(
            f"{path} was trained by {theirs} {'process' if theirs == 1 else 'processes'} and cannot go on "
            f"with {ours}: give the trainer=… of then, or trainer.devices={theirs}"
        )


def _say(line: str) -> None:
    if rank() == 0:
        print(f"genlab: {line}", file=sys.stderr, flush=True)


def _mark_finished(run: RunDirectory, stage: Stage, trainer: Trainer) -> None:
    """Every process goes on when the mark is there, which tells it later that there is nothing to train."""
    if trainer.is_global_zero:
        mark = {"world_size": trainer.world_size, "steps": trainer.global_step}
        write_json(run.finished(stage.name), mark)
        drop_previous(run, stage.name)
    trainer.strategy.barrier()
