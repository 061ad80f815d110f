"""Whatever is shared out, a stage ends with the same weights, also where its loss moves some itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genlab
from genlab.api import Plan
from genlab.contracts import UsageError
from genlab.training import TrainerSettings, zero
from genlab.training.checkpoint_files import KEEPER
from tests.training.killing import finish, start
from tests.training.strategies import CHANGES, CHOSEN, ON_CPU, STRATEGIES
from tests.training.test_families import MADE

WEIGHTS = ("state_dict", "current_model_state")  # their averages, and as they are
POISON = """
import torch
from pytorch_lightning import Callback

class Poison(Callback):
    def on_train_start(self, trainer, module):
        spoilt = lambda g: g * torch.nan if trainer.global_step == 3 else g
        next(module.parameters()).register_hook(spoilt)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "tests.training.strategies", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return folder


def ends(folder: Path) -> dict[str, dict]:
    found = folder.glob("*/checkpoints/*/last.ckpt")
    return {path.parent.name: torch.load(path, weights_only=True) for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize("name", CHOSEN)
def test_it_ends_with_the_same_weights(runs, name, strategy):
    whole, shared = (ends(runs / name / each) for each in ("ddp", strategy))
    assert whole.keys() == shared.keys()
    for stage, checkpoint in whole.items():
        for kind in WEIGHTS:
            torch.testing.assert_close(shared[stage][kind], checkpoint[kind], rtol=0, atol=1e-6)
        judged = [each["callbacks"][KEEPER]["best"] for each in (shared[stage], checkpoint)]
        assert judged == [None] * 2 or judged[0] == pytest.approx(judged[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "weights", "averages"),
    [("ddp", 1.0, 1.0), ("fsdp", 0.5, 0.5), ("deepspeed", 1.0, 0.5)],
)
def test_a_process_keeps_its_part(runs, strategy, weights, averages):
    for rank in (0, 1):
        seen = json.loads((runs / "kept" / f"{strategy}.{rank}.json").read_text())
        assert seen["weights"] == pytest.approx(weights * seen["all"], rel=0.04)
        assert seen["averages"] == pytest.approx(averages * seen["all"], rel=0.04)
        assert seen["ema"] == pytest.approx(weights * seen["all"], rel=0.04)
        assert seen["hooks"] == ["after", "before"]


@pytest.mark.slow
def test_one_process_keeps_all_of_the_averages(tmp_path):
    """Whole weights are then the memory that is averaged."""
    alone = [*MADE, "stages.fit.ema=0.9", "stages.fit.max_epochs=1", "evaluate=[]"]
    genlab.train(*alone, f"folder={tmp_path / 'cpu'}")
    fsdp = ["trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=1"]
    finish(start(tmp_path / "fsdp", [*alone, *fsdp]))
    whole, shared = ends(tmp_path / "cpu"), ends(tmp_path / "fsdp")
    for kind in WEIGHTS:
        torch.testing.assert_close(shared["fit"][kind], whole["fit"][kind], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_weights_that_took_no_part_do_not_go_on_with_deepspeed(runs):
    """Its pieces have one number of steps for a whole group."""
    (run,) = (runs / "odd" / "refused").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert (len(record["sessions"]), record["status"]) == (2, "interrupted")
    for rank in (0, 1):
        said = json.loads((runs / "kept" / f"refused.{rank}.json").read_text())["says"]
        assert "some took no part: go on with trainer=ddp" in said


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_nothing_is_left_of_deepspeed_after_a_fit(runs, rank):
    """Hooks on its weights would keep an engine, and the weights, for as long as the process lives."""
    assert json.loads((runs / "kept" / f"engines.{rank}.json").read_text()) == {"alive": 0}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "before", "after"), CHANGES)
def test_a_run_goes_on_with_another_strategy(runs, name, before, after):
    """What an optimizer keeps is in the checkpoint as one process would have it."""
    (run,) = (runs / name / f"{before}-{after}").iterdir()
    assert len(json.loads((run / "run.json").read_text())["sessions"]) == 2
    found, expected = ends(run.parent), ends(runs / name / "ddp")
    assert found.keys() == expected.keys()
    for stage, theirs in expected.items():
        ours = found[stage]
        for kind in WEIGHTS:
            torch.testing.assert_close(ours[kind], theirs[kind], rtol=0, atol=1e-6)
        (ours,), (theirs,) = ours["optimizer_states"], theirs["optimizer_states"]
        assert ours["param_groups"] == theirs["param_groups"]
        for number, kept in theirs["state"].items():
            torch.testing.assert_close(ours["state"][number], kept, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_ends_the_run(tmp_path, monkeypatch):
    """DeepSpeed itself would pass over the step."""
    (tmp_path / "poison.py").write_text(POISON)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    poison = ["+callbacks.poison._target_=poison.Poison", "--allow-target=poison."]
    zero = ["trainer=deepspeed", "trainer.accelerator=cpu", "trainer.devices=1"]
    process = start(tmp_path / "a", ["model=made", "data=digits_binary", *zero, *poison])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "a gradient is not finite in step 4 of stage 'fit'" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["stages.fit.ema=0.9", "trainer=fsdp", "trainer.precision=bf16-true"],
            r"bf16-true: averages \(stages\.fit\.ema=0\.9\) .* choose bf16-mixed, or set that to 0",
        ),
        (
            ["optimizer=adagrad", "trainer=deepspeed"],
            r"optimizer: .* not for Adagrad: choose Adam, ",
        ),
    ],
)
def test_what_cannot_be_shared_out_is_refused(words, says):
    with pytest.raises(UsageError, match=says):
        Plan([*MADE, *words, *ON_CPU])


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-true", "64-true"])
def test_another_precision_is_refused(precision):
    with pytest.raises(UsageError, match=f"{precision}: DeepSpeed's steps are .* 32-true or bf16"):
        TrainerSettings(strategy="deepspeed", precision=precision)


def test_where_deepspeed_is_not_installed(monkeypatch):
    monkeypatch.setattr(zero, "is_installed", lambda: False)
    settings = TrainerSettings(strategy="deepspeed", accelerator="cpu", devices=2)
    with pytest.raises(UsageError, match=r"pip install 'genlab\[deepspeed\]'"):
        settings.join()
    assert settings.possible() == TrainerSettings()
