"""As runs of genlab: what its pages say to type is understood."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.testing import check_processes


@pytest.mark.skipif(not os.environ.get("GENLAB_DATA"), reason="GENLAB_DATA names no folder of data")
def test_commands_of_the_readme_are_configurations(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    commands = re.findall(r"^genlab train (.*)$", readme, re.MULTILINE)
    assert len(commands) >= 3
    for words in commands:
        if "mine.npz" not in words:
            assert main(["config", "check", *words.split()]) == 0, capsys.readouterr().err


def test_on_two_processes():
    """Equal weights, the scores and samples of one process, exact resume: of levels and of reals."""
    small = ("model.transforms=2", "model.hidden=[16]", "data.batch_size=130")
    runs = [("model=maf", "data=digits", *small), ("model=nsf", "data=toy2d", *small)]
    for report in check_processes(*runs):
        report.raise_if_failed()
