"""The options of a trainer: what each changes, and what this machine cannot do."""

from __future__ import annotations

import csv
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

import genlab
from genlab.api import Plan
from genlab.contracts import Batch, Stage, Trainable, UsageError
from genlab.interrupts import Interrupted, handled
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit
from genlab.training.checkpoint_files import load_checkpoint
from genlab.training.settings import STRATEGIES
from tests.training.small import Bits

ALONE = ("trainer=cpu", "trainer.threads=1", "gallery=false", "evaluate=[test]")
MADE = ("model=made", "model.hidden=[16]", "data=digits_binary", "data.batch_size=130")


class Line(Trainable):
    """Noise in its loss, so that a batch that is seen again must find its own."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.layer, self.noise = nn.Linear(4, 4), noise
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def loss(self, batch: Batch) -> Tensor:
        x = batch.x + self.noise * torch.randn_like(batch.x)
        return (self.layer(x) - batch.x).square().sum(1).mean()


class Ask(Callback):
    """Asks to stop while a gradient is being accumulated."""

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if (trainer.current_epoch, index) == (1, 3):
            assert trainer.fit_loop._should_accumulate()
            signal.raise_signal(signal.SIGTERM)


class Crash(Callback):
    """The power fails while a gradient is being accumulated, after the first step of the second epoch."""

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if (trainer.current_epoch, index) == (1, 4):
            assert trainer.fit_loop._should_accumulate()
            raise RuntimeError("power failure")


def fitted(
    path: Path, batch: int, accumulate: int, noise=0.0, callbacks=(), minutes=10.0
) -> dict[str, Tensor]:
    model, run = Line(noise), RunDirectory(path)
    sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.5)
    stage = Stage("fit", model, model.loss, optimizer=sgd, max_epochs=3)
    settings = TrainerSettings(
        accelerator="cpu", accumulate_grad_batches=accumulate, checkpoint_minutes=minutes
    )
    with handled():
        fit(model, Bits(batch), [stage], run, settings, seed=0, callbacks=callbacks)
    return model.state_dict()


def test_small_batches_accumulate_to_a_large_one(tmp_path):
    small, large = fitted(tmp_path / "a", 8, 4), fitted(tmp_path / "b", 32, 1)
    assert not torch.equal(large["layer.weight"], Line().layer.weight)
    for name in large:
        torch.testing.assert_close(small[name], large[name], atol=1e-6, rtol=1e-6)


def test_asked_to_stop_in_the_middle_of_a_step_it_goes_on_at_its_end(tmp_path):
    """Eight batches in an epoch, three in a step."""
    undisturbed = fitted(tmp_path / "a", 8, 3, noise=0.1)
    with pytest.raises(Interrupted):
        fitted(tmp_path / "b", 8, 3, noise=0.1, callbacks=[Ask()])
    saved = load_checkpoint(RunDirectory(tmp_path / "b").checkpoint("fit", "last"))
    assert saved["global_step"] == 3 + 2, "the end of the second step of the second epoch"
    resumed = fitted(tmp_path / "b", 8, 3, noise=0.1)
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_a_crash_costs_no_more_than_the_minutes_whatever_is_accumulated(tmp_path):
    """Eight batches in an epoch, three in a step; a checkpoint is always due."""
    undisturbed = fitted(tmp_path / "a", 8, 3, noise=0.1)
    with pytest.raises(RuntimeError, match="power failure"):
        fitted(tmp_path / "b", 8, 3, noise=0.1, callbacks=[Crash()], minutes=1e-9)
    saved = load_checkpoint(RunDirectory(tmp_path / "b").checkpoint("fit", "last"))
    assert saved["global_step"] == 3 + 1, "the end of the first step of the second epoch"
    resumed = fitted(tmp_path / "b", 8, 3, noise=0.1)
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_half_precision_trains_whole_weights_and_says_so(tmp_path):
    words = (*MADE, *ALONE, "stages.fit.max_epochs=3", f"folder={tmp_path}")
    full, half = (genlab.train(*words, f"trainer.precision={p}") for p in ("32-true", "bf16-mixed"))
    ours, theirs = half.model.state_dict(), full.model.state_dict()
    assert {value.dtype for value in ours.values()} == {value.dtype for value in theirs.values()}
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours), "it computes otherwise"
    (score,), (whole,) = half.scores, full.scores
    assert score["likelihood"]["precision"] == "bf16-mixed"
    assert score["nats"]["mean"] == pytest.approx(whole["nats"]["mean"], rel=0.01)
    half.evaluate("test", settings=TrainerSettings(accelerator="cpu"))
    assert {s["likelihood"]["precision"] for s in half.scores} == {"bf16-mixed", "32-true"}
    with (half.path / "metrics.csv").open() as file:
        values = [float(r["value"]) for r in csv.DictReader(file) if r["name"] == "val/nll"]
    assert values[-1] < values[0]


# -------------------------------------------------------------------------- what there is on this machine


@pytest.fixture
def gpus(monkeypatch):
    def there(number: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return there


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"accelerator": "gpu"}, r"accelerator=gpu: torch finds no GPU here: type trainer=cpu"),
        ({"devices": -1}, r"devices=-1: torch finds no GPU here: .* trainer=ddp_cpu"),
        ({"precision": "16-mixed"}, r"16-mixed needs a GPU: bf16-mixed works without"),
    ],
)
def test_what_needs_a_gpu_is_refused_without(gpus, options, says):
    settings = TrainerSettings(**options)  # elsewhere there may be one
    gpus(0)
    with pytest.raises(UsageError, match=says):
        settings.join()
    assert not settings.possible().lacking
    gpus(2)
    assert not settings.lacking
    assert settings.possible() == settings


def test_more_gpus_than_there_are(gpus):
    gpus(2)
    settings = TrainerSettings(accelerator="gpu", strategy="ddp", devices=4)
    with pytest.raises(UsageError, match=r"devices=4: this machine has 2 GPUs"):
        settings.join()
    assert settings.possible() == TrainerSettings()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "dpd"}, "strategy=dpd: expected one of auto, ddp, .*, deepspeed$"),
        ({"strategy": "ddp_spawn"}, "strategy=ddp_spawn: expected one of auto"),
        ({"strategy": "ddp_notebook"}, "strategy=ddp_notebook: expected one of auto"),
        ({"accelerator": "cpu", "devices": -1}, "on the CPU, give their number"),
    ],
)
def test_what_is_nowhere_possible_is_refused_at_once(options, says):
    with pytest.raises(UsageError, match=says):
        TrainerSettings(**options)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("gradient_clip_val=nan", "must be above 0: leave it out to clip nothing"),
        ("gradient_clip_val=-1.0", "must be above 0"),
        ("gradient_clip_val=0.0", "must be above 0"),
        ("checkpoint_minutes=nan", "must be at least 0"),
        ("checkpoint_minutes=-5.0", "must be at least 0"),
        ("num_nodes=0", "must be at least 1"),
        ("devices=-2", "must be at least 1, or -1 for all"),
        ("threads=0", "must be at least 1"),
        ("workers=-1", "must be at least 0"),
        ("accumulate_grad_batches=0", "must be at least 1"),
        ("check_val_every_n_epoch=0", "must be at least 1"),
    ],
)
def test_numbers_out_of_range(word, says):
    with pytest.raises(UsageError) as caught:
        Plan([*MADE, f"trainer.{word}"])
    assert str(caught.value).startswith(f"trainer.{word} {says}")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_can_be_made(strategy):
    settings = TrainerSettings(accelerator="cpu", strategy=strategy)
    assert settings.trainer([]).world_size == 1


@pytest.mark.parametrize(
    ("chosen", "threads"), [("4,2", 4), (" 3 , 2", 3), ("2", 2), ("", 5), ("0", 5), ("many", 5)]
)
def test_threads_that_openmp_was_told(monkeypatch, chosen, threads):
    """A list is for nested levels; what OpenMP cannot read it passes over."""
    monkeypatch.setattr("genlab.training.settings.fair_threads", lambda processes: 5)
    monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert TrainerSettings().choose_threads() == threads
    assert TrainerSettings(threads=7).choose_threads() == 7


@pytest.mark.parametrize("trainer", ["torchrun", "slurm", "ddp", "gpu"])
def test_a_run_is_evaluated_on_another_machine_than_it_was_trained_on(tmp_path, gpus, trainer):
    """Whatever started its processes then is not there now."""
    gpus(0)
    run = genlab.train(*MADE, *ALONE, "evaluate=[]", "stages.fit.max_steps=3", f"folder={tmp_path}")
    node = Plan([*MADE, f"trainer={trainer}"]).composed.record["trainer"]
    opened = genlab.open(run.path)
    opened.config["trainer"] = node
    score = opened.evaluate("test")
    assert score is not None
    assert (score["world_size"], score["device"]) == (1, "cpu")
