"""Sweeps whose trainings cost nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from genlab.cli.main import main
from tests.sweeps import fakes

QUICK = ["stages.fit.max_epochs=3"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder in which trainings are fakes."""
    fakes.install(monkeypatch.setattr)
    monkeypatch.setattr("genlab.progress.PATIENCE", 1e9)  # and no line about it
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Command:
    """Runs a verb and keeps what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.error = ""

    def __call__(self, *words: str) -> int:
        self.capsys.readouterr()
        code = main(words)
        said = self.capsys.readouterr()
        self.out, self.error = said.out, said.err
        return code


@pytest.fixture
def genlab(capsys) -> Command:
    return Command(capsys)


def points(bench: Path | str) -> list[dict]:
    """The rows of a sweep's or a study's record."""
    (record,) = Path(bench).glob("*.json")
    return json.loads(record.read_text())["points"]


def states(bench: Path | str) -> Sequence[str]:
    return [row["status"] for row in points(bench)]


def trials(bench: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="genlab", storage=f"sqlite:///{bench}/study.db").trials


def history(bench: str) -> list[tuple]:
    """Everything that a study decided."""
    return [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in trials(bench)]
