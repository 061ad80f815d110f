"""The checks of two processes find what they are for, and nothing else."""

from __future__ import annotations

import json
import subprocess

import pytest

from genlab import targets
from genlab.runs import write_json
from genlab.testing import Report, check_processes, processes
from genlab.testing.processes import NAMES
from tests.testing.pairs import FAULTS

DATA = ["data=digits_binary", "data.batch_size=130"]


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """All in one launch, which the last of them ends."""
    names = [model.__name__ for model in FAULTS]
    runs = [[f"model._target_=tests.testing.pairs.{name}", *DATA] for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "_trusted_prefixes", ["tests.testing."])
        return dict(zip(names, check_processes(*runs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("model", FAULTS, ids=lambda model: model.__name__)
def test_a_fault_is_found_by_its_check_alone(reports, model):
    report = reports[model.__name__]
    assert [result.check for result in report.failed] == [model.caught_by], str(report)
    if model.caught_by == NAMES[0]:
        assert "ValueError: there is one of me" in report.failed[0].message


def test_every_check_finds_a_fault():
    assert {model.caught_by for model in FAULTS} == set(NAMES)


def test_what_is_broken_keeps_nothing_else_from_being_made(tmp_path, monkeypatch):
    """A launch ends with the first that is; the others have another one."""
    launches = []

    def launch(command, **_):
        asked = json.loads((tmp_path / "asked.json").read_text())
        launches.append(list(asked["runs"]))
        for name, words in asked["runs"].items():
            if words == ["broken"]:
                return subprocess.CompletedProcess(command, 1, "", "one\nkilled")
            for rank in range(2):
                write_json(tmp_path / name / f"rank-{rank}.json", {"weights": []})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", launch)
    asked = {"0": ["fine"], "1": ["broken"], "2": ["fine"], "3": ["broken"]}
    assert processes.make(tmp_path, asked) == {"1": "killed", "3": "killed"}
    assert launches == [["0", "1", "2", "3"], ["2", "3"]]
