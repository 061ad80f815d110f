"""Data are known again, whoever reads them, and other data are not taken for them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import genlab
from genlab.cli.main import main
from genlab.contracts import DataError, DataModule, DataSpec, Support
from genlab.data import digits
from genlab.runs import RunDirectory
from genlab.sketch import difference, require_one, sketch
from genlab.together import processes
from tests.cli.test_bad_input import refused
from tests.test_shared_work import on_two
from tests.training.small import Bits, Fixed

SPEC = DataSpec("numbers", "fixed", (3,), Support.REAL)
X = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))


def of(x: torch.Tensor) -> dict[str, list[float]]:
    return sketch(Fixed(SPEC, x, 5))


def test_the_same_data_have_the_same():
    assert difference(of(X), of(X.clone())) == ""
    assert difference(of(X), of(X + 1e-5)) == "", "another processor may have standardised them"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (X[:40], "50 train data, not 40"),
        (X.flip(0), "other train data, or in another order"),
        (X.flip(1), "other train data, or in another order"),
        (torch.cat([X[:49], X[49:] + 1]), "other train data, or in another order"),
    ],
)
def test_other_data_have_others(other, says):
    assert difference(of(X), of(other)) == says


def test_infinite_numbers_are_no_difference():
    far = X.clone()
    far[0] = torch.tensor([torch.inf, -torch.inf, torch.nan])
    assert difference(of(far), of(far.clone())) == ""


def test_labels_count():
    data, swapped = digits(), digits()
    train = swapped.dataset("train")
    train.label = 9 - train.label
    assert difference(sketch(data), sketch(swapped)) == "other train data, or in another order"


class OfRank(Bits):
    """Of rank 1 the data are others, or cannot be read."""

    def __init__(self, broken: bool) -> None:
        super().__init__()
        self.broken = broken

    def dataset(self, split: str):
        if processes()[1] == 0:
            return super().dataset(split)
        if self.broken:
            raise DataError("there is no such file")
        return super().dataset("test")


def compared(data: DataModule) -> str:
    try:
        require_one(data)
    except genlab.contracts.UsageError as error:
        return str(error)
    return ""


def test_processes_must_read_the_same(tmp_path):
    for name, data, says in [
        ("same", Bits(), ""),
        ("other", OfRank(False), "rank 1 reads other data than that of rank 0 (other train data"),
        ("broken", OfRank(True), "rank 1 cannot read the data: there is no such file"),
    ]:
        (folder := tmp_path / name).mkdir()
        found = on_two(lambda data=data: compared(data), folder)
        assert found[0] == found[1], "all stop"
        assert says in found[0]
        assert bool(says) == bool(found[0])


def test_a_run_does_not_go_on_with_other_data(tmp_path, capsys):
    file, rows = tmp_path / "rows.npz", np.eye(20, dtype=np.uint8)
    np.savez(file, train=rows, val=rows[:5], test=rows[:5])
    words = ["model=made", "model.hidden=[4]", "data=npz", f"data.path={file}", "trainer=cpu"]
    words += [
        "stages.fit.max_steps=2",
        "evaluate=[]",
        "gallery=false",
        f"folder={tmp_path / 'runs'}",
    ]
    run = RunDirectory(genlab.train(*words).path)
    run.update(status="interrupted")
    np.savez(file, train=rows[::-1], val=rows[:5], test=rows[:5])
    line = refused(capsys, "train", *words, "--resume=auto")
    assert re.search(r"was trained on other train data, .* leave --resume out to train anew", line)
    assert run.read()["status"] == "interrupted"
    np.savez(file, train=rows, val=rows[:5], test=rows[:5])
    assert main(["train", *words, "--resume=auto"]) == 0
