"""A run that was spoiled, or that a stranger made, is refused with one line when it is to go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from genlab.cli.main import main
from genlab.runs import RunDirectory
from genlab.sums import file_digest, side
from tests.training.running import SHORT, interrupted

GONE = object()
PROGRESS = "loops/fit_loop/epoch_progress/current"
NUMBERS = "optimizer_states/0/state/0"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """In its third stage, whose optimizer is Adam."""
    return interrupted(tmp_path_factory.mktemp("decode"), "step 2 of decode")


@pytest.fixture(scope="module")
def averaging(tmp_path_factory) -> Path:
    """In its first stage, which averages its weights."""
    return interrupted(tmp_path_factory.mktemp("encode"), "step 2 of encode")


@pytest.fixture
def run(stopped, tmp_path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "runs" / "run"))


def resume(run: Path, capsys, auto: bool = False) -> tuple[int, str]:
    words = [*SHORT, f"folder={run.parent}", "--resume", "auto" if auto else str(run)]
    return main(["train", *words]), capsys.readouterr().err.strip()


def refused(run: Path, capsys) -> str:
    """The one line on stderr."""
    code, said = resume(run, capsys)
    assert code == 2, said
    assert len(said.splitlines()) == 1, said
    return said


def put(held: Any, place: str, value: Any) -> None:
    """Set a value, or take it out, where the keys of a place lead to."""
    *path, last = [int(key) if key.isdigit() else key for key in place.split("/")]
    for key in path:
        held = held[key]
    if value is GONE:
        del held[last]
    else:
        held[last] = value


def spoil(run: Path, stage: str, place: str, value: Any) -> None:
    """As a stranger would, with a checksum that fits."""
    path = run / "checkpoints" / stage / "last.ckpt"
    held = torch.load(path, weights_only=True)
    put(held, place, value)
    torch.save(held, path)
    side(path).write_text(file_digest(path) + "\n")


def change(path: Path, key: str, value: Any) -> None:
    content = json.loads(path.read_text())
    put(content, key, value)
    path.write_text(json.dumps(content))


def test_as_it_is_it_goes_on(run, capsys):
    assert resume(run, capsys)[0] == 0


@pytest.mark.parametrize("row", ["chain", "chain,0,x,loss,1", "decode,0,1", "", '"a'])
def test_a_row_of_the_curves(run, capsys, row):
    with (run / "metrics.csv").open("a") as file:
        file.write(f"{row}\n")
    line = refused(run, capsys)
    assert "metrics.csv, row " in line
    assert "expected stage, epoch, step, name, value: remove that row" in line


def test_curves_that_are_no_text(run, capsys):
    (run / "metrics.csv").write_bytes(b"\xff")
    assert "metrics.csv is no text in UTF-8" in refused(run, capsys)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("genlab", GONE, "there is no genlab"),
        ("genlab/world_size", GONE, "there is no genlab.world_size"),
        ("genlab/world_size", "1", "genlab.world_size is a str"),
        ("callbacks/Checkpoints", GONE, "there is no callbacks.Checkpoints"),
        ("callbacks/Checkpoints/waited", GONE, "there is no callbacks.Checkpoints.waited"),
        ("callbacks/Curves/losses", [torch.zeros(3)], "a loss is more than a number"),
        ("rank_state", GONE, "there is no rank_state"),
        ("rank_state", [], "rank_state is of 0 processes, not of 1"),
        ("rank_state", [{"chain": 1}], "rank_state holds other things than tensors"),
        ("pytorch-lightning_version", "a", "pytorch-lightning_version is none"),
        ("loops", GONE, "there is no loops"),
        (f"{PROGRESS}/completed", "1", "loops.fit_loop.epoch_progress.current.completed is a str"),
        (f"{PROGRESS}/completed", 3, "it is at epoch 3 of 2"),
        ("optimizer_states", [], "optimizer_states: "),
        (f"{NUMBERS}/exp_avg", GONE, "optimizer_states: KeyError: 'exp_avg'"),
        (f"{NUMBERS}/exp_avg", torch.zeros(3), "exp_avg is (3,), not (64, 12)"),
        (f"{NUMBERS}/exp_avg", torch.zeros(()).expand(64, 12), "not a number for each of its 768"),
        ("optimizer_states/0/param_groups/0/lr", "a", "optimizer_states: "),
        ("lr_schedulers/0/lr_lambdas", GONE, "optimizer_states: KeyError: 'lr_lambdas'"),
    ],
)
def test_a_checkpoint(run, capsys, place, value, says):
    spoil(run, "decode", place, value)
    line = refused(run, capsys)
    assert "checkpoints/decode/last.ckpt is not what genlab wrote (" in line
    assert says in line
    assert line.endswith("remove that stage's folder in checkpoints to train it again")
    shutil.rmtree(run / "checkpoints" / "decode")
    assert resume(run, capsys)[0] == 0


def test_an_option_that_calls_for_more_numbers(run, capsys):
    """The fused step would read past these three."""
    spoil(run, "decode", f"{NUMBERS}/max_exp_avg_sq", torch.zeros(3))
    spoil(run, "decode", "optimizer_states/0/param_groups/0/amsgrad", True)
    assert "max_exp_avg_sq is (3,), not (64, 12)" in refused(run, capsys)


@pytest.mark.parametrize("position", [GONE, "1", -1, 2])
def test_a_place_in_the_epoch(run, capsys, position):
    spoil(run, "decode", "loops/fit_loop/state_dict/combined_loader/0/position", position)
    assert "for the place in an epoch of 2 batches" in refused(run, capsys)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("averaging_state", GONE),
        ("averaging_state", {}),
        ("averaging_state/n_averaged", torch.zeros(3)),
        ("current_model_state", GONE),
        ("current_model_state/encoder.bias", GONE),
        ("current_model_state/encoder.bias", torch.zeros(3)),
    ],
)
def test_averages(averaging, tmp_path, capsys, place, value):
    run = Path(shutil.copytree(averaging, tmp_path / "runs" / "run"))
    spoil(run, "encode", place, value)
    assert "last.ckpt is not what genlab wrote (" in refused(run, capsys)


def test_the_state_of_the_stage_before(run, capsys):
    shutil.rmtree(run / "checkpoints" / "decode")
    spoil(run, "chain", "rank_state", GONE)
    line = refused(run, capsys)
    assert "checkpoints/chain/last.ckpt is not what genlab wrote (there is no rank_state)" in line


def test_the_last_of_a_run_that_has_finished(run, capsys):
    assert resume(run, capsys)[0] == 0
    spoil(run, "mean", "callbacks", {})
    (run / "checkpoints/mean/best.ckpt").unlink(missing_ok=True)
    assert "(there is no callbacks.Checkpoints)" in refused(run, capsys)


@pytest.mark.parametrize("mark", [[], {}, {"world_size": "1"}, None])
def test_a_mark(run, capsys, mark):
    path = run / "checkpoints/encode/finished.json"
    path.write_text(json.dumps(mark))
    assert f"{path} is not what genlab wrote (" in refused(run, capsys)


@pytest.mark.parametrize("key", ["status", "fingerprint", "spec", "stages", "threads", "sessions"])
def test_a_record_without(run, capsys, key):
    change(run / "run.json", key, GONE)
    before = (run / "run.json").read_text()
    assert refused(run, capsys).endswith(f"run.json: there is no {key} in it")
    assert (run / "run.json").read_text() == before, "nothing was done"


@pytest.mark.parametrize(
    ("key", "value"),
    [("threads", 0), ("threads", 10**6), ("threads", "1"), ("sessions", [{}]), ("sessions", [1])],
)
def test_a_record_with(run, capsys, key, value):
    change(run / "run.json", key, value)
    before = (run / "run.json").read_text()
    assert "run.json: " in refused(run, capsys)
    assert (run / "run.json").read_text() == before, "nothing was done"


@pytest.mark.parametrize("key", ["status", "fingerprint", "spec"])
def test_the_broken_record_of_another_run(run, capsys, key):
    other = Path(shutil.copytree(run, run.parent / "other"))
    change(other / "run.json", key, GONE)
    passed_over = f"genlab: passed over: {other / 'run.json'}: there is no {key} in it"
    assert resume(run, capsys, auto=True) == (0, passed_over)
    assert RunDirectory(run).read()["status"] == "completed"
